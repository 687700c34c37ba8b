package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sfn"

	"stepsiem/kibana"
	"stepsiem/sam/local"
	"stepsiem/shared/blob"
	"stepsiem/shared/search"
)

// environment is the stack that a command works on, and its clients.
type environment struct {
	AWS              string            `json:"aws"`    // endpoint URL, "" for AWS's own
	Search           string            `json:"search"` // endpoint URL
	Region           string            `json:"region"`
	LandingBucket    string            `json:"landing_bucket"`
	WorkBucket       string            `json:"work_bucket"`
	QuarantineBucket string            `json:"quarantine_bucket"`
	ArchiveBucket    string            `json:"archive_bucket"`
	DataBucket       string            `json:"data_bucket"`
	Machines         map[string]string `json:"machines"` // name without the stack's: ARN

	s3      *s3.Client
	store   blob.Store
	sfn     *sfn.Client
	search  *search.Client
	healthy func(context.Context) error
}

// ingestMachine is the machine that executions of landed objects belong to.
const ingestMachine = "ingest"

// open attaches to the stack that the flags name.
func (c *call) open(ctx context.Context) (*environment, error) {
	if c.stack != "" {
		return openAWS(ctx, c.stack)
	}
	s, err := local.Open(c.home)
	if err != nil {
		return nil, err
	}
	return openLocal(s)
}

func openLocal(s *local.Stack) (*environment, error) {
	e := &environment{AWS: s.AWS, Search: s.Search, Region: s.Region, LandingBucket: s.LandingBucket, WorkBucket: s.WorkBucket,
		QuarantineBucket: s.QuarantineBucket, ArchiveBucket: s.ArchiveBucket, DataBucket: s.DataBucket, Machines: s.Machines, healthy: s.Healthy}
	return e, e.connect(s.AWSConfig(), search.Config{})
}

func (e *environment) connect(cfg aws.Config, sc search.Config) (err error) {
	e.s3 = s3.NewFromConfig(cfg, func(o *s3.Options) { o.UsePathStyle = cfg.BaseEndpoint != nil })
	e.store, e.sfn = blob.NewS3(cfg), sfn.NewFromConfig(cfg)
	sc.Endpoint = e.Search
	e.search, err = search.New(sc)
	return err
}

// openAWS reads what it needs from the CloudFormation stack's outputs and parameters.
func openAWS(ctx context.Context, name string) (*environment, error) {
	cfg, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return nil, fmt.Errorf("load AWS configuration: %w", err)
	}
	out, err := cloudformation.NewFromConfig(cfg).DescribeStacks(ctx, &cloudformation.DescribeStacksInput{StackName: &name})
	if err != nil {
		return nil, fmt.Errorf("describe stack %s: %w; check name, region and credentials (aws sts get-caller-identity)", name, err)
	}
	outputs, parameters := map[string]string{}, map[string]string{}
	for _, o := range out.Stacks[0].Outputs {
		outputs[aws.ToString(o.OutputKey)] = aws.ToString(o.OutputValue)
	}
	for _, p := range out.Stacks[0].Parameters {
		parameters[aws.ToString(p.ParameterKey)] = aws.ToString(p.ParameterValue)
	}
	e := &environment{AWS: aws.ToString(cfg.BaseEndpoint), Search: parameters["SearchEndpoint"], Region: cfg.Region,
		LandingBucket: outputs["LandingBucket"], WorkBucket: outputs["WorkBucket"], QuarantineBucket: outputs["QuarantineBucket"],
		ArchiveBucket: outputs["ArchiveBucket"], DataBucket: outputs["DataBucket"], Machines: map[string]string{}}
	for output, arn := range outputs {
		if strings.HasSuffix(output, "Machine") {
			e.Machines[strings.TrimPrefix(arn[strings.LastIndexByte(arn, ':')+1:], name+"-")] = arn
		}
	}
	if e.LandingBucket == "" || e.Machines[ingestMachine] == "" {
		return nil, fmt.Errorf("stack %s has no outputs LandingBucket and IngestMachine: was it deployed from this repository's template.yaml?", name)
	}
	sc, err := searchAuth(ctx, cfg, parameters["SearchAuth"], parameters["SearchSecretArn"])
	if err != nil {
		return nil, err
	}
	if err := e.connect(cfg, sc); err != nil {
		return nil, err
	}
	e.healthy = e.search.Healthy
	return e, nil
}

// searchAuth signs in to OpenSearch as the stack's functions do.
func searchAuth(ctx context.Context, cfg aws.Config, auth, secret string) (sc search.Config, err error) {
	switch {
	case auth == "sigv4":
		sc.AWS = &cfg
	case secret != "":
		out, err := secretsmanager.NewFromConfig(cfg).GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: &secret})
		if err != nil {
			return sc, fmt.Errorf("read the secret of OpenSearch: %w", err)
		}
		if err := json.Unmarshal([]byte(aws.ToString(out.SecretString)), &sc); err != nil {
			return sc, fmt.Errorf(`decode the secret of OpenSearch: %w; it holds {"username","password"}`, err)
		}
	}
	return sc, nil
}

// up brings the local stack up, index templates included.
func (c *call) up(ctx context.Context) (*environment, error) {
	if c.stack != "" {
		return nil, usagef("works on the local stack only; on AWS use sam deploy and sam delete")
	}
	s, err := local.Up(ctx, local.Config{Home: c.home, Log: func(line string) { c.note("%s", line) }})
	if err != nil {
		return nil, err
	}
	e, err := openLocal(s)
	if err != nil {
		return nil, err
	}
	return e, e.installTemplates(ctx)
}

// installTemplates gives the local stack's indices their mappings. One node holds no replicas.
func (e *environment) installTemplates(ctx context.Context) error {
	return kibana.Install(ctx, e.search, kibana.Params{Shards: 1, RefreshInterval: time.Second})
}

func cmdUp(ctx context.Context, c *call, args []string) error {
	if _, err := c.parse(args, 0, 0); err != nil {
		return err
	}
	e, err := c.up(ctx)
	if err != nil {
		return err
	}
	return c.printStatus(ctx, e)
}

func cmdDown(ctx context.Context, c *call, args []string) error {
	if _, err := c.parse(args, 0, 0); err != nil {
		return err
	}
	if c.stack != "" {
		return usagef("works on the local stack only; on AWS use sam delete")
	}
	if err := local.Down(ctx, c.home); err != nil {
		return err
	}
	return c.print(map[string]any{"home": c.home}, func(w io.Writer) { fmt.Fprintln(w, "down:", c.home) })
}

func cmdStatus(ctx context.Context, c *call, args []string) error {
	if _, err := c.parse(args, 0, 0); err != nil {
		return err
	}
	e, err := c.open(ctx)
	if errors.Is(err, local.ErrDown) && c.json {
		return errors.Join(c.print(status{environment: &environment{Machines: map[string]string{}}}, nil), err)
	}
	if err != nil {
		return err
	}
	return c.printStatus(ctx, e)
}

type status struct {
	*environment
	Healthy bool `json:"healthy"`
}

// printStatus prints where everything is, and ends with what is wrong.
func (c *call) printStatus(ctx context.Context, e *environment) error {
	sick := e.healthy(ctx)
	return errors.Join(sick, c.print(status{e, sick == nil}, func(w io.Writer) {
		rows := [][]string{
			{"AWS", cmp.Or(e.AWS, "AWS itself")}, {"OpenSearch", e.Search}, {"region", e.Region}, {"landing bucket", e.LandingBucket},
			{"work bucket", e.WorkBucket}, {"quarantine bucket", e.QuarantineBucket}, {"archive bucket", e.ArchiveBucket}, {"data bucket", e.DataBucket},
		}
		for _, name := range slices.Sorted(maps.Keys(e.Machines)) {
			rows = append(rows, []string{"machine " + name, e.Machines[name]})
		}
		health := "yes"
		if sick != nil {
			health = "no"
		}
		table(w, nil, append(rows, []string{"healthy", health}))
	}))
}
