package search

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"stepsiem/shared/fault"
)

// Open returns the Client that the parameters SearchEndpoint, SearchAuth and SearchSecretArn of template.yaml describe. auth
// is "sigv4", or "basic" with a Secrets Manager secret {"username","password"}, or "basic" without one: no authentication.
func Open(ctx context.Context, endpoint, auth, secretARN string, cfg aws.Config) (*Client, error) {
	c := Config{Endpoint: endpoint}
	switch {
	case auth == "sigv4":
		c.AWS = &cfg
	case auth != "basic":
		return nil, fmt.Errorf("open search: authentication %q is neither sigv4 nor basic", auth)
	case secretARN != "":
		out, err := secretsmanager.NewFromConfig(cfg).GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: &secretARN})
		if err != nil {
			return nil, fault.New(fault.Of(err), "read search secret: %w", err)
		}
		var secret struct{ Username, Password string }
		if json.Unmarshal([]byte(aws.ToString(out.SecretString)), &secret) != nil || secret.Username == "" { // the error would quote the secret
			return nil, fmt.Errorf(`read search secret %s: it is not {"username","password"}`, secretARN)
		}
		c.Username, c.Password = secret.Username, secret.Password
	}
	return New(c)
}
