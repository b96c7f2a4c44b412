package state

// Backend is the store on disk behind the tables in memory, one per process.
type Backend struct{}
