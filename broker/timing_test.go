package broker

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrace/millrace/broker/auth"
	"github.com/millrace/millrace/internal/vfs"
)

// TestUnknownUsersLookAlike: what SCRAM sends before the password is the same for
// a user whom the broker made, for one whom a client made, and for one who does
// not exist.
func TestUnknownUsersLookAlike(t *testing.T) {
	b, addr := plainListener(t, nil)
	ctx := testCtx(t)
	a := kadm.NewClient(client(t, addr, kgo.SASL(mechanisms("alice", "wonder")["SCRAM-SHA-512"])))
	for _, m := range []kadm.ScramMechanism{kadm.ScramSha256, kadm.ScramSha512} { // one change of a user in a request
		results, err := a.AlterUserSCRAMs(ctx, nil, []kadm.UpsertSCRAM{{User: "carol", Mechanism: m, Iterations: auth.DefaultIterations, Password: "x"}})
		if err != nil || results["carol"].Err != nil {
			t.Fatal(err, results)
		}
	}
	if !b.HasUser("carol") || b.HasUser("mabel") {
		t.Fatal("carol must exist and mabel must not")
	}
	for _, m := range []auth.Mechanism{auth.ScramSHA256, auth.ScramSHA512} {
		shapes := map[string]string{}
		for _, user := range []string{"alice", "carol", "mabel"} {
			c := dialRaw(t, addr)
			c.handshake(string(m), 1)
			said := string(c.authenticate("n,,n=" + user + ",r=c").SASLAuthBytes)
			parts := strings.Split(said, ",")
			shapes[user] = fmt.Sprintf("%d parts, a nonce of %d, a salt of %d, %s", len(parts), len(parts[0]), len(parts[1]), parts[2])
		}
		if shapes["alice"] != shapes["mabel"] || shapes["carol"] != shapes["mabel"] {
			t.Errorf("%s: %v", m, shapes)
		}
	}
}

// timingTries is how many logins of a pair are timed, timingLimit the largest |t|
// that counts as no difference.
const (
	timingTries = 100_000
	timingLimit = 4.5
)

// TestLoginTiming asks whether the time in which a login is refused tells a user
// who exists from one who does not. It prints Welch's t and its p for PLAIN with a
// wrong password and for the first step of SCRAM, of all tries and of those that
// nothing interrupted. Only PLAIN must stay below the limit: a step of SCRAM takes
// so little that the ten nanoseconds of finding a user in a map show here, which
// they do not on a network. It takes about ten minutes:
//
//	MILLRACE_TIER=N go test ./broker -run TestLoginTiming -v -timeout 1h
func TestLoginTiming(t *testing.T) {
	if os.Getenv("MILLRACE_TIER") != "N" {
		t.Skip("a measurement: MILLRACE_TIER=N")
	}
	b := openSecure(t, vfs.NewMem(), nil)
	plain := func(user string) bool {
		_, _, err := auth.NewPlain(&b.security).Step([]byte("\x00" + user + "\x00guess"))
		return err != nil
	}
	scram := func(user string) bool {
		_, done, err := auth.NewScram(&b.security, auth.ScramSHA512, "server").Step([]byte("n,,n=" + user + ",r=client"))
		return err == nil && !done
	}
	for _, m := range []struct {
		name string
		try  func(user string) bool
	}{{"SCRAM", scram}, {"PLAIN", plain}} {
		for _, pair := range [][2]string{{"alice", "mabel"}, {"mabel", "carla"}} { // the second: nobody exists, what no difference looks like
			known, unknown := timeLogins(t, m.try, pair)
			tAll, p := welch(known, unknown)
			common := quantile(append(slices.Clone(known), unknown...), 0.9)
			tCut, pCut := welch(below(known, common), below(unknown, common))
			t.Logf("%s, %s and %s: medians %.3f and %.3f us, t %.2f (p %.3f), without the slowest tenth t %.2f (p %.3f)",
				m.name, pair[0], pair[1], quantile(known, 0.5), quantile(unknown, 0.5), tAll, p, tCut, pCut)
			if m.name == "PLAIN" && max(math.Abs(tAll), math.Abs(tCut)) > timingLimit {
				t.Errorf("%s: %s is told from %s", m.name, pair[0], pair[1])
			}
		}
	}
}

// timeLogins times a try for either user in random order and returns microseconds.
func timeLogins(t *testing.T, try func(user string) bool, pair [2]string) (first, second []float64) {
	rng := rand.New(rand.NewPCG(1, 0))
	var took [2][]float64
	for range timingTries {
		i := rng.IntN(2)
		began := time.Now()
		ok := try(pair[i])
		d := time.Since(began)
		if !ok {
			t.Fatalf("%s: another answer than was to be timed", pair[i])
		}
		took[i] = append(took[i], float64(d.Nanoseconds())/1000)
	}
	return took[0], took[1]
}

// welch returns Welch's t of two samples and the probability of one as large when
// their means are equal, from the normal distribution: samples are large.
func welch(a, b []float64) (t, p float64) {
	meanA, varA := moments(a)
	meanB, varB := moments(b)
	t = (meanA - meanB) / math.Sqrt(varA/float64(len(a))+varB/float64(len(b)))
	return t, math.Erfc(math.Abs(t) / math.Sqrt2)
}

func moments(x []float64) (mean, variance float64) {
	for _, v := range x {
		mean += v / float64(len(x))
	}
	for _, v := range x {
		variance += (v - mean) * (v - mean) / float64(len(x)-1)
	}
	return mean, variance
}

func quantile(x []float64, q float64) float64 {
	sorted := slices.Sorted(slices.Values(x))
	return sorted[int(q*float64(len(sorted)-1))]
}

func below(x []float64, limit float64) (kept []float64) {
	for _, v := range x {
		if v <= limit {
			kept = append(kept, v)
		}
	}
	return kept
}

// TestWelch: a tool that never finds a difference would be of no use.
func TestWelch(t *testing.T) {
	a, b := []float64{1, 2, 3, 4, 5}, []float64{2, 4, 6, 8, 10}
	if got, p := welch(a, b); math.Abs(got+1.8973666) > 1e-6 || math.Abs(p-0.0577796) > 1e-6 {
		t.Errorf("t %v, p %v", got, p)
	}
	if got, p := welch(a, a); got != 0 || p != 1 {
		t.Errorf("the same sample: t %v, p %v", got, p)
	}
	rng := rand.New(rand.NewPCG(1, 0))
	var slow, fast []float64
	for range 10_000 {
		slow, fast = append(slow, 10.1+rng.NormFloat64()), append(fast, 10+rng.NormFloat64())
	}
	if got, _ := welch(slow, fast); got < timingLimit {
		t.Errorf("a difference of a hundredth: t %v", got)
	}
}
