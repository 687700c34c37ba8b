package search

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
)

func TestOpen(t *testing.T) {
	for name, tt := range map[string]struct {
		auth, secret, stored string
		want                 string // start of the Authorization header
		wantErr              string
	}{
		"signed":         {auth: "sigv4", want: "AWS4-HMAC-SHA256 Credential=AKID/"},
		"open":           {auth: "basic"},
		"secret":         {auth: "basic", secret: "arn:s", stored: `{"username":"siem","password":"p"}`, want: "Basic c2llbTpw"},
		"not a secret":   {auth: "basic", secret: "arn:s", stored: `hunter2`, wantErr: "it is not"},
		"without a name": {auth: "basic", secret: "arn:s", stored: `{"password":"hunter2"}`, wantErr: "it is not"},
		"unknown":        {auth: "kerberos", wantErr: `"kerberos" is neither`},
	} {
		t.Run(name, func(t *testing.T) {
			var got string
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("X-Amz-Target") == "secretsmanager.GetSecretValue" {
					json.NewEncoder(w).Encode(map[string]string{"SecretString": tt.stored})
					return
				}
				got = r.Header.Get("Authorization")
				w.Write([]byte(`{"status":"green"}`))
			}))
			defer srv.Close()
			cfg := aws.Config{Region: "eu-west-1", BaseEndpoint: &srv.URL, Credentials: credentials.NewStaticCredentialsProvider("AKID", "key", "")}
			c, err := Open(t.Context(), srv.URL, tt.auth, tt.secret, cfg)
			if tt.wantErr != "" {
				if err == nil || !strings.Contains(err.Error(), tt.wantErr) || strings.Contains(err.Error(), "hunter2") {
					t.Fatalf("error %v, want one with %q and without the secret", err, tt.wantErr)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if err := c.Healthy(t.Context()); err != nil {
				t.Fatal(err)
			}
			if !strings.HasPrefix(got, tt.want) || tt.want == "" && got != "" {
				t.Errorf("Authorization is %q, want %q", got, tt.want)
			}
		})
	}
}
