// Package brokers starts the server and Apache Kafka as processes of the same
// shape, for programs that compare the two or run clients against either.
//
// Both listen with every security protocol on loopback ports that were free,
// keep their data in a folder of the caller, check access control lists, and know
// one user, who may do everything; so may whoever comes in without a login. Kafka
// is installed from Maven Central, in the version that pom.xml has.
package brokers
