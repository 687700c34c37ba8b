package format_test

import (
	"testing"
	"time"

	"stepsiem/shared/format"
)

func TestTypeOfKey(t *testing.T) {
	for key, want := range map[string]string{
		"": "", "x.log": "", "logs/2026/01/31/x.gz": "",
		"AWSLogs/123456789010/CloudTrail/us-east-1/2026/01/31/123456789010_CloudTrail_us-east-1_20260131T1200Z_x.json.gz": "cloudtrail",
		"o-1/AWSLogs/o-1/123456789010/CloudTrail/x.json.gz":                                                               "cloudtrail",
		"AWSLogs/123456789010/CloudTrail-Digest/us-east-1/x.json.gz":                                                      "cloudtrail",
		"AWSLogs/123456789010/CloudTrail-Insight/us-east-1/x.json.gz":                                                     "cloudtrail",
		"123456789010_CloudTrail_us-east-1_20260131T1200Z_x.json.gz":                                                      "cloudtrail",
		"cloudtrail/x.json": "cloudtrail",
		"AWSLogs/123456789010/vpcflowlogs/us-east-1/2026/01/31/123456789010_vpcflowlogs_us-east-1_fl-1_20260131T1200Z_x.log.gz":     "vpcflowlog",
		"AWSLogs/aws-account-id=1/aws-service=vpcflowlogs/aws-region=us-east-1/1_vpcflowlogs_us-east-1_fl-1_20260131T1200Z.parquet": "vpcflowlog",
		"vpcflowlog/x.log":                 "vpcflowlog",
		"authlog/2026/01/31/12/stepsiem-1": "authlog",
		"my-authlog/x":                     "",
	} {
		if got := format.TypeOfKey(key); got != want {
			t.Errorf("%s: %q, want %q", key, got, want)
		}
	}
}

func TestTimeOfKey(t *testing.T) {
	for key, want := range map[string]string{
		"": "", "x.log": "", "2026/13/31/x": "", "a/2026/01/31": "2026-01-31T00:00:00Z",
		"AWSLogs/1/CloudTrail/us-east-1/2026/01/31/1_CloudTrail_us-east-1_20260131T1240Z_x.json.gz": "2026-01-31T12:40:00Z",
		"AWSLogs/1/CloudTrail-Digest/us-east-1/2026/01/31/1_CloudTrail-Digest_20260131T124005Z.gz":  "2026-01-31T12:40:05Z",
		"authlog/2026/01/31/12/stepsiem-1-2026-01-31-12-50-07-uuid":                                 "2026-01-31T12:50:07Z",
		"authlog/2026/01/31/12/x": "2026-01-31T12:00:00Z",
		"2026/01/31/x":            "2026-01-31T00:00:00Z",
	} {
		got, ok := format.TimeOfKey(key)
		if ok != (want != "") || ok && got.Format(time.RFC3339) != want {
			t.Errorf("%s: %v %v, want %q", key, got, ok, want)
		}
	}
}
