package broker

import "math"

// newest says that a field is there in every later version.
const newest = math.MaxInt16

// versions are the first and the last version of a request that have a field. tag
// is not 0 for a field in the tags of a struct: its number and 1.
type versions struct{ first, last, tag int16 }

// fieldVersions is every field of a request that not all of its versions have, by
// type and name, for the keys that may be served. It follows package kmsg, whose
// types do not carry it; TestShapes fails when it does not.
var fieldVersions = map[string]map[string]versions{
	"AddPartitionsToTxnRequest":                 {"TransactionalID": {0, 3, 0}, "ProducerID": {0, 3, 0}, "ProducerEpoch": {0, 3, 0}, "Topics": {0, 3, 0}, "Transactions": {4, newest, 0}},
	"AlterPartitionAssignmentsRequest":          {"AllowReplicationFactorChange": {1, newest, 0}},
	"ApiVersionsRequest":                        {"ClientSoftwareName": {3, newest, 0}, "ClientSoftwareVersion": {3, newest, 0}, "ClusterID": {5, newest, 0}, "NodeID": {5, newest, 0}},
	"ConsumerGroupHeartbeatRequest":             {"SubscribedTopicRegex": {1, newest, 0}},
	"CreateACLsRequestCreation":                 {"ResourcePatternType": {1, newest, 0}},
	"CreateTopicsRequest":                       {"ValidateOnly": {1, newest, 0}},
	"DeleteACLsRequestFilter":                   {"ResourcePatternType": {1, newest, 0}},
	"DeleteTopicsRequest":                       {"TopicNames": {0, 5, 0}, "Topics": {6, newest, 0}},
	"DescribeACLsRequest":                       {"ResourcePatternType": {1, newest, 0}},
	"DescribeClusterRequest":                    {"EndpointType": {1, newest, 0}, "IncludeFencedBrokers": {2, newest, 0}},
	"DescribeConfigsRequest":                    {"IncludeSynonyms": {1, newest, 0}, "IncludeDocumentation": {3, newest, 0}},
	"DescribeGroupsRequest":                     {"IncludeAuthorizedOperations": {3, newest, 0}},
	"ElectLeadersRequest":                       {"ElectionType": {1, newest, 0}},
	"FetchRequest":                              {"ClusterID": {tag: 1}, "ReplicaID": {0, 14, 0}, "ReplicaState": {tag: 2}, "MaxBytes": {3, newest, 0}, "IsolationLevel": {4, newest, 0}, "SessionID": {7, newest, 0}, "SessionEpoch": {7, newest, 0}, "ForgottenTopics": {7, newest, 0}, "Rack": {11, newest, 0}},
	"FetchRequestForgottenTopic":                {"Topic": {7, 12, 0}, "TopicID": {13, newest, 0}},
	"FetchRequestTopic":                         {"Topic": {0, 12, 0}, "TopicID": {13, newest, 0}},
	"FetchRequestTopicPartition":                {"CurrentLeaderEpoch": {9, newest, 0}, "LastFetchedEpoch": {12, newest, 0}, "LogStartOffset": {5, newest, 0}, "ReplicaDirectoryID": {tag: 1}, "HighWatermark": {tag: 2}},
	"FindCoordinatorRequest":                    {"CoordinatorKey": {0, 3, 0}, "CoordinatorType": {1, newest, 0}, "CoordinatorKeys": {4, newest, 0}},
	"HeartbeatRequest":                          {"InstanceID": {3, newest, 0}},
	"InitProducerIDRequest":                     {"ProducerID": {3, newest, 0}, "ProducerEpoch": {3, newest, 0}},
	"JoinGroupRequest":                          {"RebalanceTimeoutMillis": {1, newest, 0}, "InstanceID": {5, newest, 0}, "Reason": {8, newest, 0}},
	"LeaveGroupRequest":                         {"MemberID": {0, 2, 0}, "Members": {3, newest, 0}},
	"LeaveGroupRequestMember":                   {"Reason": {5, newest, 0}},
	"ListConfigResourcesRequest":                {"ResourceTypes": {1, newest, 0}},
	"ListGroupsRequest":                         {"StatesFilter": {4, newest, 0}, "TypesFilter": {5, newest, 0}},
	"ListOffsetsRequest":                        {"IsolationLevel": {2, newest, 0}, "TimeoutMillis": {10, newest, 0}},
	"ListOffsetsRequestTopicPartition":          {"MaxNumOffsets": {0, 0, 0}, "CurrentLeaderEpoch": {4, newest, 0}},
	"ListTransactionsRequest":                   {"DurationFilterMillis": {1, newest, 0}, "TransactionalIDPattern": {2, newest, 0}},
	"MetadataRequest":                           {"AllowAutoTopicCreation": {4, newest, 0}, "IncludeClusterAuthorizedOperations": {8, 10, 0}, "IncludeTopicAuthorizedOperations": {8, newest, 0}},
	"MetadataRequestTopic":                      {"TopicID": {10, newest, 0}},
	"OffsetCommitRequest":                       {"Generation": {1, newest, 0}, "MemberID": {1, newest, 0}, "InstanceID": {7, newest, 0}, "RetentionTimeMillis": {2, 4, 0}},
	"OffsetCommitRequestTopic":                  {"Topic": {0, 9, 0}, "TopicID": {10, newest, 0}},
	"OffsetCommitRequestTopicPartition":         {"Timestamp": {1, 1, 0}, "LeaderEpoch": {6, newest, 0}},
	"OffsetFetchRequest":                        {"Group": {0, 7, 0}, "Topics": {0, 7, 0}, "Groups": {8, newest, 0}, "RequireStable": {7, newest, 0}},
	"OffsetFetchRequestGroup":                   {"MemberID": {9, newest, 0}, "MemberEpoch": {9, newest, 0}},
	"OffsetFetchRequestGroupTopic":              {"Topic": {8, 9, 0}, "TopicID": {10, newest, 0}},
	"OffsetForLeaderEpochRequest":               {"ReplicaID": {3, newest, 0}},
	"OffsetForLeaderEpochRequestTopicPartition": {"CurrentLeaderEpoch": {2, newest, 0}},
	"ProduceRequest":                            {"TransactionID": {3, newest, 0}},
	"ProduceRequestTopic":                       {"Topic": {0, 12, 0}, "TopicID": {13, newest, 0}},
	"SyncGroupRequest":                          {"InstanceID": {3, newest, 0}, "ProtocolType": {5, newest, 0}, "Protocol": {5, newest, 0}},
	"TxnOffsetCommitRequest":                    {"Generation": {3, newest, 0}, "MemberID": {3, newest, 0}, "InstanceID": {3, newest, 0}},
	"TxnOffsetCommitRequestTopic":               {"Topic": {0, 5, 0}, "TopicID": {6, newest, 0}},
	"TxnOffsetCommitRequestTopicPartition":      {"LeaderEpoch": {2, newest, 0}},
	"UpdateFeaturesRequest":                     {"ValidateOnly": {1, newest, 0}},
	"UpdateFeaturesRequestFeatureUpdate":        {"AllowDowngrade": {0, 0, 0}, "UpgradeType": {1, newest, 0}},
	"WriteTxnMarkersRequestMarker":              {"TransactionVersion": {2, newest, 0}},
}
