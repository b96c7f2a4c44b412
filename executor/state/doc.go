// Package state holds the stores of operators.
package state
