package sample

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"time"
)

// pack sorts each log's events and makes an object a day of them.
func (s *story) pack(kinds ...kind) (files []File, err error) {
	midnight := s.end.Truncate(day)
	for _, k := range kinds {
		slices.SortStableFunc(k.events, func(a, b event) int { return a.at.Compare(b.at) })
		cut, _ := slices.BinarySearchFunc(k.events, midnight, func(e event, t time.Time) int { return e.at.Compare(t) })
		for _, events := range [][]event{k.events[:cut], k.events[cut:]} {
			if len(events) == 0 {
				continue
			}
			last := events[len(events)-1].at
			f := File{Key: k.key(last), Type: k.typ, Time: last, Data: k.body(events)}
			if k.gzip {
				if f.Data, err = compress(f.Data); err != nil {
					return nil, err
				}
			}
			files = append(files, f)
		}
	}
	return files, nil
}

// auth is web-1's auth.log: the office's logins, and the guesses that end in a success.
func (s *story) auth() kind {
	k := kind{typ: "authlog", body: lines(""), key: func(t time.Time) string {
		return t.Format("authlog/2006/01/02/15/web-1-auth-2006-01-02-15-04-05.log")
	}}
	add := func(at time.Time, program string, pid int, format string, args ...any) {
		k.events = append(k.events, event{at, fmt.Sprintf("%s web-1 %s[%d]: %s", at.Format(time.Stamp), program, pid, fmt.Sprintf(format, args...))})
	}
	for i := range 60 { // the ordinary day
		at, pid := s.at(s.random.Float64()), 2000+i
		user := []string{"alice", "bob", "deploy"}[i%3]
		add(at, "sshd", pid, "Accepted publickey for %s from %s port %d ssh2: ED25519 SHA256:%s", user, office, 40000+s.random.IntN(20000), s.hex(43))
		add(at, "sshd", pid, "pam_unix(sshd:session): session opened for user %s(uid=%d) by (uid=0)", user, 1000+i%3)
		if i%4 == 0 {
			add(at.Add(20*time.Second), "sudo", pid+1, "%8s : TTY=pts/0 ; PWD=/home/%s ; USER=root ; COMMAND=/usr/bin/systemctl status nginx", user, user)
		}
		add(at.Add(90*time.Second), "CRON", pid+5000, "pam_unix(cron:session): session opened for user root(uid=0) by (uid=0)")
	}
	at := s.at(0.90)
	for i := range 120 { // the guesses, 5 s apart
		name := []string{"root", "invalid user admin", "invalid user oracle", "deploy", "invalid user test"}[i%5]
		add(at, "sshd", 7000+i, "Failed password for %s from %s port %d ssh2", name, attacker, 50000+i)
		at = at.Add(5 * time.Second)
	}
	add(at, "sshd", 7200, "Accepted password for deploy from %s port 50200 ssh2", attacker)
	add(at.Add(30*time.Second), "sudo", 7201, "  deploy : TTY=pts/1 ; PWD=/home/deploy ; USER=root ; COMMAND=/usr/bin/cat /root/.aws/credentials")
	add(at.Add(60*time.Second), "useradd", 7202, "new user: name=backup2, UID=1099, GID=1099, home=/home/backup2, shell=/bin/bash, from=/dev/pts/1")
	return k
}

// flows are the VPC's: web traffic, the scan, and talk with the control server.
func (s *story) flows() kind {
	k := kind{typ: "vpcflowlog", gzip: true,
		body: lines("version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action log-status\n"),
		key: func(t time.Time) string {
			return fmt.Sprintf("AWSLogs/%s/vpcflowlogs/%s/%s/%[1]s_vpcflowlogs_%[2]s_fl-0d3f00d3f00d3f00d_%s_%s.log.gz",
				account, region, t.Format("2006/01/02"), t.Format("20060102T1504Z"), t.Format("05demo"))
		}}
	web := netip.MustParseAddr("10.0.1.10")
	add := func(at time.Time, from, to netip.Addr, fromPort, toPort, packets int, action string) {
		k.events = append(k.events, event{at, fmt.Sprintf("2 %s eni-0a1b2c3d4e5f60718 %s %s %d %d 6 %d %d %d %d %s OK",
			account, from, to, fromPort, toPort, packets, packets*(60+s.random.IntN(900)), at.Unix(), at.Add(50*time.Second).Unix(), action)})
	}
	for range 1500 { // customers
		visitor := netip.AddrFrom4([4]byte{30, byte(10 + s.random.IntN(90)), byte(s.random.IntN(256)), byte(1 + s.random.IntN(254))})
		at, port := s.at(s.random.Float64()), 32768+s.random.IntN(28000)
		add(at, visitor, web, port, 443, 4+s.random.IntN(40), "ACCEPT")
		add(at, web, visitor, 443, port, 4+s.random.IntN(60), "ACCEPT")
	}
	for i := range 300 { // the scan: every port once, and now and then somebody else's
		add(s.at(0.88).Add(time.Duration(i)*time.Second), attacker, web, 41000+i, 20+i*7, 1, "REJECT")
	}
	for range 80 {
		stray := netip.AddrFrom4([4]byte{22, byte(s.random.IntN(4)), 5, byte(1 + s.random.IntN(9))})
		add(s.at(s.random.Float64()), stray, web, 30000+s.random.IntN(9000), []int{22, 23, 445, 3389}[s.random.IntN(4)], 1, "REJECT")
	}
	for i := range 40 { // a beat every minute after the break-in
		at := s.at(0.92).Add(time.Duration(i) * time.Minute)
		add(at, web, control, 55000+i, 8443, 6, "ACCEPT")
		add(at, control, web, 8443, 55000+i, 5, "ACCEPT")
	}
	return k
}

// object is a JSON object.
type object = map[string]any

// trail is CloudTrail's: everyday calls, and what the stolen keys did.
func (s *story) trail() kind {
	k := kind{typ: "cloudtrail", gzip: true,
		body: func(events []event) []byte {
			b := []byte(`{"Records":[`)
			for i, e := range events {
				if i > 0 {
					b = append(b, ',')
				}
				b = append(b, e.text...)
			}
			return append(b, "]}"...)
		},
		key: func(t time.Time) string {
			return fmt.Sprintf("AWSLogs/%s/CloudTrail/%s/%s/%[1]s_CloudTrail_%[2]s_%s_Demo%s.json.gz",
				account, region, t.Format("2006/01/02"), t.Format("20060102T1504Z"), t.Format("0102150405"))
		}}
	add := func(at time.Time, user string, from netip.Addr, source, name string, more object) {
		id := s.hex(32)
		record := object{
			"eventVersion": "1.09", "eventTime": at.Format(time.RFC3339), "eventSource": source + ".amazonaws.com", "eventName": name,
			"awsRegion": region, "sourceIPAddress": from.String(), "userAgent": "aws-cli/2.15.0", "eventType": "AwsApiCall",
			"requestID": s.hex(16), "eventID": id[:8] + "-" + id[8:12] + "-4" + id[13:16] + "-8" + id[17:20] + "-" + id[20:],
			"recipientAccountId": account, "eventCategory": "Management", "managementEvent": true,
			"readOnly": false, "requestParameters": nil, "responseElements": nil,
			"userIdentity": object{"type": "IAMUser", "principalId": "AIDAEXAMPLE" + user, "arn": "arn:aws:iam::" + account + ":user/" + user,
				"accountId": account, "accessKeyId": "AKIAEXAMPLE" + user, "userName": user},
		}
		for field, value := range more {
			record[field] = value
		}
		text, err := json.Marshal(record)
		if err != nil {
			panic(err) // strings, numbers and maps of them always encode
		}
		k.events = append(k.events, event{at, string(text)})
	}
	login := func(at time.Time, user string, from netip.Addr, mfa string) {
		add(at, user, from, "signin", "ConsoleLogin", object{"eventType": "AwsConsoleSignIn", "userAgent": "Mozilla/5.0",
			"responseElements": object{"ConsoleLogin": "Success"}, "additionalEventData": object{"MFAUsed": mfa, "LoginTo": "https://console.aws.amazon.com/"}})
	}
	for i := range 200 { // the ordinary day
		calls := [][2]string{{"ec2", "DescribeInstances"}, {"s3", "ListBuckets"}, {"iam", "ListUsers"}, {"ec2", "DescribeSecurityGroups"}, {"lambda", "ListFunctions"}}
		call := calls[s.random.IntN(len(calls))]
		add(s.at(s.random.Float64()), []string{"alice", "bob"}[i%2], office, call[0], call[1], object{"readOnly": true})
	}
	login(s.at(0.35), "alice", office, "Yes")
	login(s.at(0.40), "bob", office, "Yes")
	at := s.at(0.94)
	step := func() time.Time { at = at.Add(2 * time.Minute); return at }
	login(step(), "deploy", attacker, "No")
	add(step(), "deploy", attacker, "iam", "CreateAccessKey", object{"requestParameters": object{"userName": "backup2"}})
	add(step(), "deploy", attacker, "ec2", "AuthorizeSecurityGroupIngress", object{
		"requestParameters": object{"groupId": "sg-0123456789abcdef0", "ipPermissions": object{"items": []object{{"ipProtocol": "tcp", "fromPort": 22, "toPort": 22,
			"ipRanges": object{"items": []object{{"cidrIp": "0.0.0.0/0"}}}}}}}, "responseElements": object{"_return": true}})
	add(step(), "deploy", attacker, "cloudtrail", "DeleteTrail", object{"requestParameters": object{"name": "audit"},
		"errorCode": "AccessDenied", "errorMessage": "User is not authorized to perform: cloudtrail:DeleteTrail"})
	add(step(), "deploy", attacker, "cloudtrail", "StopLogging", object{"requestParameters": object{"name": "audit"}})
	return k
}
