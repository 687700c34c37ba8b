package main

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
)

type invoker interface {
	Invoke(context.Context, *lambda.InvokeInput, ...func(*lambda.Options)) (*lambda.InvokeOutput, error)
}

// snapshot has EniSnapshot run when there were flows of an unknown interface, without waiting for it: batches to come will
// know the interface. These facts are optional, so a failure is a note.
func (p *Parser) snapshot(ctx context.Context, now time.Time) (notes []string) {
	if p.Lambda == nil || !p.eni.Wanted(now) {
		return nil
	}
	in := &lambda.InvokeInput{FunctionName: &p.SnapshotFunction, InvocationType: types.InvocationTypeEvent, Payload: []byte("{}")}
	if _, err := p.Lambda.Invoke(ctx, in); err != nil {
		notes = append(notes, fmt.Sprintf("ask for interface snapshot: %v", err))
	}
	return notes
}
