package local

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/arn"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// deployTimeout bounds one CloudFormation operation; 10 to 20 s are usual.
const deployTimeout = 5 * time.Minute

// deploy makes the engine run what was built, by CloudFormation, unless it does already.
func (c Config) deploy(ctx context.Context, st *state, s *Stack, b *built) error {
	parameters := c.parameters(s, b.parameters)
	fingerprint := digest(b.template, fmt.Append(nil, parameters))
	if st.Deployed == fingerprint {
		return nil
	}
	c.Log("stack: deploying")
	if err := s.upload(ctx, b); err != nil {
		return fmt.Errorf("upload artifacts: %w", err)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, deployTimeout, fmt.Errorf("deploy stack: not done after %s", deployTimeout))
	defer cancel()
	if err := s.apply(ctx, st.Deployed != "", b.template, parameters); err != nil {
		forget := st.change(func() { st.Deployed = "" }) // the engine is of no use after a failed update: the next Up begins anew
		return errors.Join(fmt.Errorf("deploy stack: %w; %s may say more", err, engineLog(c.Home)), forget)
	}
	return st.change(func() { st.Deployed, st.Stack = fingerprint, *s })
}

// parameters are what differs from AWS, as far as the template declares it, and what the caller wants.
func (c Config) parameters(s *Stack, declared map[string]bool) map[string]string {
	set := map[string]string{
		"Architecture":          runtime.GOARCH,
		"SearchEndpoint":        s.Search,
		"SearchAuth":            "basic", // and no secret: OpenSearch has no users here
		"IngestWindowSeconds":   "1",
		"RedeliverySeconds":     "60", // what had to wait for OpenSearch is looked at again in a minute
		"OutagePatienceSeconds": "20", // a stopped server shows as a failed execution within a minute
	}
	if runtime.GOARCH == "amd64" {
		set["Architecture"] = "x86_64"
	}
	maps.DeleteFunc(set, func(name, _ string) bool { return !declared[name] })
	maps.Copy(set, c.Parameters)
	return set
}

func (s *Stack) upload(ctx context.Context, b *built) error {
	client := s.S3()
	if _, err := client.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: aws.String(artifactBucket)}); err != nil {
		return err
	}
	for key, content := range b.objects {
		if _, err := client.PutObject(ctx, &s3.PutObjectInput{Bucket: aws.String(artifactBucket), Key: aws.String(key), Body: bytes.NewReader(content)}); err != nil {
			return err
		}
	}
	return nil
}

// apply creates the stack, or updates the one that was deployed before, waits, and fills s from it.
func (s *Stack) apply(ctx context.Context, update bool, template []byte, parameters map[string]string) error {
	client, name := cloudformation.NewFromConfig(s.AWSConfig()), aws.String(stackName)
	var ps []types.Parameter
	for _, k := range slices.Sorted(maps.Keys(parameters)) {
		ps = append(ps, types.Parameter{ParameterKey: aws.String(k), ParameterValue: aws.String(parameters[k])})
	}
	capabilities := []types.Capability{types.CapabilityCapabilityIam, types.CapabilityCapabilityNamedIam, types.CapabilityCapabilityAutoExpand}
	body := aws.String(string(template))
	var err error
	if update {
		_, err = client.UpdateStack(ctx, &cloudformation.UpdateStackInput{StackName: name, TemplateBody: body, Parameters: ps, Capabilities: capabilities})
	} else {
		_, err = client.CreateStack(ctx, &cloudformation.CreateStackInput{StackName: name, TemplateBody: body, Parameters: ps, Capabilities: capabilities})
	}
	if err != nil {
		return err
	}
	stack, err := settled(ctx, client)
	if err != nil {
		return err
	}
	if err := failures(ctx, client); err != nil {
		return fmt.Errorf("it is %s: %w", stack.StackStatus, err)
	}
	return s.describe(ctx, client, stack)
}

// settled waits until CloudFormation is done with the stack.
func settled(ctx context.Context, client *cloudformation.Client) (stack types.Stack, err error) {
	waited := poll(ctx, 300*time.Millisecond, func() bool {
		var out *cloudformation.DescribeStacksOutput
		out, err = client.DescribeStacks(ctx, &cloudformation.DescribeStacksInput{StackName: aws.String(stackName)})
		if err != nil {
			return true
		}
		stack = out.Stacks[0]
		return !strings.HasSuffix(string(stack.StackStatus), "_IN_PROGRESS")
	})
	if waited != nil {
		return stack, context.Cause(ctx)
	}
	return stack, err
}

// failures is what CloudFormation says of each resource that failed in its last operation. The stack's status does not
// tell: the engine ends a failed update with UPDATE_COMPLETE.
func failures(ctx context.Context, client *cloudformation.Client) error {
	out, err := client.DescribeStackEvents(ctx, &cloudformation.DescribeStackEventsInput{StackName: aws.String(stackName)})
	if err != nil {
		return err
	}
	var all []error
	for _, e := range out.StackEvents { // the newest comes first
		status, resource := string(e.ResourceStatus), aws.ToString(e.LogicalResourceId)
		if strings.HasSuffix(status, "_FAILED") {
			all = append(all, fmt.Errorf("%s is %s: %s", resource, status, aws.ToString(e.ResourceStatusReason)))
		}
		if resource == stackName && (e.ResourceStatus == types.ResourceStatusCreateInProgress || e.ResourceStatus == types.ResourceStatusUpdateInProgress) {
			break
		}
	}
	return errors.Join(all...)
}

// describe fills s from the deployed stack.
func (s *Stack) describe(ctx context.Context, client *cloudformation.Client, stack types.Stack) error {
	id, err := arn.Parse(aws.ToString(stack.StackId))
	if err != nil {
		return err
	}
	s.Account, s.Outputs, s.Machines = id.AccountID, map[string]string{}, map[string]string{}
	for _, o := range stack.Outputs {
		s.Outputs[aws.ToString(o.OutputKey)] = aws.ToString(o.OutputValue)
	}
	out, err := client.DescribeStackResources(ctx, &cloudformation.DescribeStackResourcesInput{StackName: aws.String(stackName)})
	if err != nil {
		return err
	}
	buckets := map[string]*string{
		"Landing": &s.LandingBucket, "Work": &s.WorkBucket, "Quarantine": &s.QuarantineBucket, "Archive": &s.ArchiveBucket, "Data": &s.DataBucket,
	}
	for _, r := range out.StackResources {
		id := aws.ToString(r.PhysicalResourceId)
		switch aws.ToString(r.ResourceType) {
		case "AWS::StepFunctions::StateMachine":
			s.Machines[strings.TrimPrefix(id[strings.LastIndexByte(id, ':')+1:], stackName+"-")] = id
		case "AWS::S3::Bucket":
			if b := buckets[strings.TrimSuffix(aws.ToString(r.LogicalResourceId), "Bucket")]; b != nil {
				*b = id
			}
		}
	}
	return nil
}
