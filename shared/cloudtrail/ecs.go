package cloudtrail

import (
	"bytes"
	"strings"
)

// Default is the class of every call that changes nothing a responder watches.
const Default = "DEFAULT"

// classes holds the calls that the original system's classifier watched, and the calls of the same kind it missed.
var classes = map[string]map[string]string{
	"ec2.amazonaws.com": merge(
		class("SECURITY_GROUP_CHANGE", `AuthorizeSecurityGroupIngress AuthorizeSecurityGroupEgress RevokeSecurityGroupIngress
			RevokeSecurityGroupEgress CreateSecurityGroup DeleteSecurityGroup ModifySecurityGroupRules`),
		class("NACL_CHANGE", `CreateNetworkAcl CreateNetworkAclEntry DeleteNetworkAcl DeleteNetworkAclEntry ReplaceNetworkAclEntry
			ReplaceNetworkAclAssociation`),
		class("NETWORK_CHANGE", `AttachInternetGateway AssociateRouteTable CreateCustomerGateway CreateInternetGateway CreateRoute
			CreateRouteTable DeleteCustomerGateway DeleteInternetGateway DeleteRoute DeleteRouteTable DeleteDhcpOptions
			DetachInternetGateway DisassociateRouteTable ReplaceRoute ReplaceRouteTableAssociation`)),
	"cloudtrail.amazonaws.com": class("CLOUDTRAIL_CHANGE", `StopLogging DeleteTrail UpdateTrail`),
	"config.amazonaws.com": class("AWS_CONFIG_CHANGE", `PutConfigurationRecorder StopConfigurationRecorder DeleteConfigurationRecorder
		PutDeliveryChannel DeleteDeliveryChannel`),
	"s3.amazonaws.com": class("S3BUCKET_POLICY_CHANGE", `PutBucketAcl PutBucketPolicy PutBucketCors PutBucketLifecycle
		PutBucketLifecycleConfiguration PutBucketReplication DeleteBucketPolicy DeleteBucketCors DeleteBucketLifecycle
		DeleteBucketReplication PutBucketPublicAccessBlock DeleteBucketPublicAccessBlock PutAccountPublicAccessBlock
		DeleteAccountPublicAccessBlock`),
}

func class(name, calls string) map[string]string {
	m := map[string]string{}
	for _, c := range strings.Fields(calls) {
		m[c] = name
	}
	return m
}

func merge(list ...map[string]string) map[string]string {
	m := map[string]string{}
	for _, l := range list {
		for k, v := range l {
			m[k] = v
		}
	}
	return m
}

// Class names the kind of dangerous change that a call is, by the names the original system gave them
// (SECURITY_GROUP_CHANGE, NACL_CHANGE, NETWORK_CHANGE, CLOUDTRAIL_CHANGE, AWS_CONFIG_CHANGE, S3BUCKET_POLICY_CHANGE), or
// Default. It says nothing of whether the call succeeded.
func Class(eventSource, eventName string) string {
	if c, ok := classes[eventSource][eventName]; ok {
		return c
	}
	return Default
}

// The categories of ECS, ready to write.
const (
	authentication = `["authentication"]`
	iam            = `["iam"]`
	network        = `["network"]`
	database       = `["database"]`
	detection      = `["intrusion_detection"]`
	configuration  = `["configuration"]`
	api            = `["api"]`
)

var sourceCategories = map[string]string{
	"signin.amazonaws.com":               authentication,
	"iam.amazonaws.com":                  iam,
	"sso-directory.amazonaws.com":        iam,
	"identitystore.amazonaws.com":        iam,
	"route53.amazonaws.com":              network,
	"elasticloadbalancing.amazonaws.com": network,
	"network-firewall.amazonaws.com":     network,
	"directconnect.amazonaws.com":        network,
	"rds.amazonaws.com":                  database,
	"dynamodb.amazonaws.com":             database,
	"redshift.amazonaws.com":             database,
}

// logins are the calls of other services that begin a session.
var logins = map[string]bool{"GetSessionToken": true, "GetFederationToken": true, "AssumeRole": true, "AssumeRoleWithSAML": true,
	"AssumeRoleWithWebIdentity": true, "AssumeRoot": true, "CreateSession": true, "Authenticate": true, "Federate": true,
	"UserAuthentication": true, "InitiateAuth": true, "AdminInitiateAuth": true, "GetRoleCredentials": true}

// networkNouns tell the calls of EC2 that are about a VPC from those about instances.
var networkNouns = [][]byte{[]byte("SecurityGroup"), []byte("NetworkAcl"), []byte("NetworkInterface"), []byte("Vpc"), []byte("Vpn"),
	[]byte("Subnet"), []byte("Route"), []byte("Gateway"), []byte("DhcpOptions"), []byte("Address")}

// category returns event.category of a call.
func category(source, name []byte, read bool) string {
	c, ok := sourceCategories[string(source)]
	switch {
	case c == authentication, logins[string(name)]:
		return authentication
	case ok:
		return c
	case string(source) == "ec2.amazonaws.com":
		for _, noun := range networkNouns {
			if bytes.Contains(name, noun) {
				return network
			}
		}
	}
	if read {
		return api
	}
	return configuration
}

// action returns event.type of a call, ready to write but for the closing bracket.
func action(name []byte, category string, read bool) string {
	switch {
	case category == authentication:
		return `["start"`
	case read:
		return `["access"`
	case bytes.HasPrefix(name, []byte("Create")):
		return `["creation"`
	case bytes.HasPrefix(name, []byte("Delete")):
		return `["deletion"`
	}
	return `["change"`
}

// reads reports whether a call only reads, by its name: records before version 1.02 don't say.
func reads(name []byte) bool {
	for _, verb := range [...]string{"Get", "List", "Describe", "Head", "Lookup", "BatchGet"} {
		if bytes.HasPrefix(name, []byte(verb)) {
			return true
		}
	}
	return false
}

// denied reports whether an error code says that the caller was not allowed.
func denied(code []byte) bool {
	return bytes.Contains(code, []byte("AccessDenied")) || bytes.Contains(code, []byte("Unauthorized"))
}
