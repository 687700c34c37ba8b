package format

import (
	"regexp"
	"strings"
	"time"
)

// TypeOfKey tells a log type from the layout of an object's key: AWS's own (AWSLogs/ACCOUNT/CloudTrail/…,
// AWSLogs/ACCOUNT/vpcflowlogs/…), the file names that go with it, and a first folder named after a type, as our Firehose
// prefixes are. It is "" where the key tells nothing.
func TypeOfKey(key string) string {
	first, _, _ := strings.Cut(key, "/")
	switch {
	case strings.Contains(key, "/vpcflowlogs/"), strings.Contains(key, "_vpcflowlogs_"), first == "vpcflowlog":
		return "vpcflowlog"
	case strings.Contains(key, "/CloudTrail/"), strings.Contains(key, "/CloudTrail-Digest/"), strings.Contains(key, "/CloudTrail-Insight/"),
		strings.Contains(key, "_CloudTrail_"), strings.Contains(key, "_CloudTrail-"), first == "cloudtrail":
		return "cloudtrail"
	case first == "authlog":
		return "authlog"
	}
	return ""
}

// stamp finds the UTC times that AWS's deliveries put into keys: 20230710T1240Z in file names, 2023-07-10-12-40-00 in
// Firehose's, 2023/07/10/12/ in folders.
var stamp = regexp.MustCompile(`(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)?Z|(\d{4})-(\d\d)-(\d\d)-(\d\d)-(\d\d)-(\d\d)|(?:^|/)(\d{4})/(\d\d)/(\d\d)(?:/(\d\d))?(?:/|$)`)

// TimeOfKey is the time that a key names; ok is false where it names none.
func TimeOfKey(key string) (t time.Time, ok bool) {
	for _, m := range stamp.FindAllStringSubmatch(key, -1) {
		text := ""
		for _, part := range m[1:] {
			text += part
		}
		if got, err := time.Parse("20060102150405", (text + "000000")[:14]); err == nil {
			t, ok = got, true
		}
	}
	return t, ok
}
