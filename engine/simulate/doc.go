// Package simulate runs declarative tests of a user's statements: records in,
// records and table rows out, in simulated time. `millrace test` is made of it.
//
// Its nouns: a File is a parsed test file, a Test one case of it, a Result what
// became of one.
//
// The statements of a test are planned in an engine.Sandbox, and every query runs
// in an executor.Driver over one partition. They form one live pipeline: a record
// goes, in file order, through every query that reads its topic, in the order in
// which the queries were made, and everything that it causes is done before the
// next record. Wall time stands still, so that a test has one outcome. What is
// deliberately not here: several partitions, several tasks and commits that fail;
// a test says what queries compute, not how they are run.
//
// Limits: MaxRecords records per test, MaxAliases uses of YAML aliases per file,
// MaxNesting levels of JSON.
package simulate
