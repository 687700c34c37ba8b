package cloudtrail

// slot is the place of one value of a record while it is read.
type slot int

const (
	eventVersion slot = iota
	eventTime
	eventSource
	eventName
	awsRegion
	sourceIP
	userAgent
	errorCode
	errorMessage
	request
	response
	additional
	requestID
	eventID
	readOnly
	resources
	eventType
	apiVersion
	managementEvent
	recipientAccount
	sharedEvent
	serviceDetails
	insightDetails
	endpoint
	endpointAccount
	eventCategory
	consoleSession
	addendum
	eventContext
	edgeDevice
	annotation
	digestStart

	tlsVersion
	cipherSuite
	keyExchange
	hostHeader

	identityType
	principalID
	identityARN
	accountID
	accessKeyID
	userName
	invokedBy
	credentialID
	identityProvider
	inScopeOf
	onBehalfOfUser
	identityStore

	ec2RoleDelivery
	sourceIdentity
	assumedRoot
	creationDate
	mfaAuthenticated
	federatedProvider
	federatedAttributes
	issuerType
	issuerPrincipal
	issuerARN
	issuerAccount
	issuerName

	bucket
	groupID
	roleARN
	roleName
	targetUser
	instanceID
	resourceARN
	resourceType
	consoleLogin
	otherLogin
	mfaUsed
	insightName
	insightSource
	insightType
	insightState

	slots
)

// rule says what is made of a value.
type rule uint8

const (
	keyword rule = iota // text; what is no string in the record becomes its JSON text
	boolean             // true or false, also as text; anything else is only in event.original
	flat                // a flat_object, with everything inside
)

// field is one member of a record.
type field struct {
	name string // in the record
	out  string // in the document as `"name":`, with a brace before sub; empty where ECS has a place of its own, or sub's members take its place
	slot slot
	rule rule
	sub  *level // of an object whose members are known
}

// level is an object of a record with its known members, in the order CloudTrail delivers them.
type level struct {
	path   string // of unknown members, before their name
	fields []field
	index  map[string]int
}

func newLevel(path string, fields ...field) *level {
	l := &level{path, fields, make(map[string]int, len(fields))}
	for i, f := range fields {
		l.index[f.name] = i
	}
	return l
}

// find returns the field of that name. guess is where it probably is; find leaves the place behind the found field there.
func (l *level) find(name []byte, guess *int) *field {
	i := *guess
	if i >= len(l.fields) || l.fields[i].name != string(name) {
		known := false
		if i, known = l.index[string(name)]; !known {
			return nil
		}
	}
	*guess = i + 1
	return &l.fields[i]
}

// layout is that of a log record.
// https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html
var layout = newLevel("",
	field{name: "eventVersion", out: `"event_version":`, slot: eventVersion},
	field{name: "userIdentity", out: `"user_identity":{`, sub: identity},
	field{name: "eventTime", slot: eventTime},
	field{name: "eventSource", slot: eventSource},
	field{name: "eventName", slot: eventName},
	field{name: "awsRegion", slot: awsRegion},
	field{name: "sourceIPAddress", slot: sourceIP},
	field{name: "userAgent", slot: userAgent},
	field{name: "requestParameters", out: `"request_parameters":`, slot: request, rule: flat},
	field{name: "responseElements", out: `"response_elements":`, slot: response, rule: flat},
	field{name: "requestID", out: `"request_id":`, slot: requestID},
	field{name: "eventID", slot: eventID},
	field{name: "readOnly", out: `"read_only":`, slot: readOnly, rule: boolean},
	field{name: "eventType", out: `"event_type":`, slot: eventType},
	field{name: "managementEvent", out: `"management_event":`, slot: managementEvent, rule: boolean},
	field{name: "recipientAccountId", out: `"recipient_account_id":`, slot: recipientAccount},
	field{name: "eventCategory", out: `"event_category":`, slot: eventCategory},
	field{name: "tlsDetails", out: `"tls_details":{`, sub: newLevel("tlsDetails.",
		field{name: "tlsVersion", out: `"tls_version":`, slot: tlsVersion},
		field{name: "cipherSuite", out: `"cipher_suite":`, slot: cipherSuite},
		field{name: "clientProvidedHostHeader", out: `"client_provided_host_header":`, slot: hostHeader},
		field{name: "keyExchange", out: `"key_exchange":`, slot: keyExchange})},
	field{name: "sessionCredentialFromConsole", out: `"session_credential_from_console":`, slot: consoleSession},
	field{name: "errorCode", slot: errorCode},
	field{name: "errorMessage", slot: errorMessage},
	field{name: "additionalEventData", out: `"additional_event_data":`, slot: additional, rule: flat},
	field{name: "resources", out: `"resources":`, slot: resources, rule: flat},
	field{name: "apiVersion", out: `"api_version":`, slot: apiVersion},
	field{name: "sharedEventID", out: `"shared_event_id":`, slot: sharedEvent},
	field{name: "serviceEventDetails", out: `"service_event_details":`, slot: serviceDetails, rule: flat},
	field{name: "insightDetails", out: `"insight_details":`, slot: insightDetails, rule: flat},
	field{name: "vpcEndpointId", out: `"vpc_endpoint_id":`, slot: endpoint},
	field{name: "vpcEndpointAccountId", out: `"vpc_endpoint_account_id":`, slot: endpointAccount},
	field{name: "edgeDeviceDetails", out: `"edge_device_details":`, slot: edgeDevice, rule: flat},
	field{name: "addendum", out: `"addendum":`, slot: addendum, rule: flat},
	field{name: "eventContext", out: `"event_context":`, slot: eventContext, rule: flat},
	field{name: "annotation", out: `"annotation":`, slot: annotation},
	field{name: "digestStartTime", slot: digestStart},
)

// https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-user-identity.html
var identity = newLevel("userIdentity.",
	field{name: "type", out: `"type":`, slot: identityType},
	field{name: "principalId", out: `"principal_id":`, slot: principalID},
	field{name: "arn", out: `"arn":`, slot: identityARN},
	field{name: "accountId", out: `"account_id":`, slot: accountID},
	field{name: "accessKeyId", out: `"access_key_id":`, slot: accessKeyID},
	field{name: "userName", out: `"user_name":`, slot: userName},
	field{name: "sessionContext", out: `"session_context":{`, sub: session},
	field{name: "invokedBy", out: `"invoked_by":`, slot: invokedBy},
	field{name: "identityProvider", out: `"identity_provider":`, slot: identityProvider},
	field{name: "credentialId", out: `"credential_id":`, slot: credentialID},
	field{name: "onBehalfOf", out: `"on_behalf_of":{`, sub: newLevel("userIdentity.onBehalfOf.",
		field{name: "userId", out: `"user_id":`, slot: onBehalfOfUser},
		field{name: "identityStoreArn", out: `"identity_store_arn":`, slot: identityStore})},
	field{name: "inScopeOf", out: `"in_scope_of":`, slot: inScopeOf, rule: flat},
)

var session = newLevel("userIdentity.sessionContext.",
	field{name: "sessionIssuer", out: `"session_issuer":{`, sub: newLevel("userIdentity.sessionContext.sessionIssuer.",
		field{name: "type", out: `"type":`, slot: issuerType},
		field{name: "principalId", out: `"principal_id":`, slot: issuerPrincipal},
		field{name: "arn", out: `"arn":`, slot: issuerARN},
		field{name: "accountId", out: `"account_id":`, slot: issuerAccount},
		field{name: "userName", out: `"user_name":`, slot: issuerName})},
	field{name: "webIdFederationData", out: `"web_id_federation_data":{`, sub: newLevel("userIdentity.sessionContext.webIdFederationData.",
		field{name: "federatedProvider", out: `"federated_provider":`, slot: federatedProvider},
		field{name: "attributes", out: `"attributes":`, slot: federatedAttributes, rule: flat})},
	field{name: "attributes", sub: newLevel("userIdentity.sessionContext.attributes.",
		field{name: "creationDate", out: `"creation_date":`, slot: creationDate},
		field{name: "mfaAuthenticated", out: `"mfa_authenticated":`, slot: mfaAuthenticated})},
	field{name: "ec2RoleDelivery", out: `"ec2_role_delivery":`, slot: ec2RoleDelivery},
	field{name: "sourceIdentity", out: `"source_identity":`, slot: sourceIdentity},
	field{name: "assumedRoot", out: `"assumed_root":`, slot: assumedRoot},
)

// promotion makes a keyword of a text inside a flat_object, for panels: those can't aggregate flat_objects.
type promotion struct {
	member string // of the flat_object, with quotes; empty for all of it
	first  string // take the first text that this stands before; empty when the member's value is the text
	slot   slot
}

var promotions = [slots][]promotion{
	request: {{`"bucketName"`, "", bucket}, {`"groupId"`, "", groupID}, {`"roleArn"`, "", roleARN}, {`"roleName"`, "", roleName},
		{`"userName"`, "", targetUser}, {`"instanceId"`, "", instanceID}, {`"instancesSet"`, `"instanceId":`, instanceID}},
	response: {{`"ConsoleLogin"`, "", consoleLogin}, {`"SwitchRole"`, "", otherLogin}, {`"CheckMfa"`, "", otherLogin},
		{`"groupId"`, "", groupID}, {`"instancesSet"`, `"instanceId":`, instanceID}},
	additional: {{`"MFAUsed"`, "", mfaUsed}},
	insightDetails: {{`"eventName"`, "", insightName}, {`"eventSource"`, "", insightSource}, {`"insightType"`, "", insightType},
		{`"state"`, "", insightState}},
	resources: {{"", `"ARN":`, resourceARN}, {"", `"type":`, resourceType}},
}

// promoted are the members of aws.cloudtrail that promotions fill, and resource those of aws.cloudtrail.resource.
var (
	promoted = newLevel("",
		field{name: "ConsoleLogin", out: `"console_login":`, slot: consoleLogin},
		field{name: "MFAUsed", out: `"mfa_used":`, slot: mfaUsed},
		field{name: "insightType", out: `"insight_type":`, slot: insightType},
		field{name: "state", out: `"insight_state":`, slot: insightState},
		field{name: "resource", out: `"resource":{`, sub: newLevel("",
			field{name: "bucketName", out: `"bucket":`, slot: bucket},
			field{name: "groupId", out: `"group_id":`, slot: groupID},
			field{name: "roleArn", out: `"role_arn":`, slot: roleARN},
			field{name: "roleName", out: `"role_name":`, slot: roleName},
			field{name: "userName", out: `"user_name":`, slot: targetUser},
			field{name: "instanceId", out: `"instance_id":`, slot: instanceID},
			field{name: "ARN", out: `"arn":`, slot: resourceARN},
			field{name: "type", out: `"type":`, slot: resourceType})},
	)
)
