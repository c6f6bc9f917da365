package tests

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"testing"

	"arca.example/arca/shared/collector"
	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/reader"
	"arca.example/arca/shared/record"
	"arca.example/arca/shared/seal"
	"arca.example/arca/shared/store"
)

// outage makes one of the parties' uses of their stores fail.
type outage struct {
	mu     sync.Mutex
	count  int // uses so far
	at     int // the use that fails; 0: none
	length int // how many uses fail from there on
	landed bool
	hit    bool
}

var errDown = errors.New("the engine is gone")

// next counts a use and says whether it fails.
func (o *outage) next() (fails, landed bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.count++
	fails = o.at > 0 && o.count >= o.at && o.count < o.at+o.length
	o.hit = o.hit || fails
	return fails, o.landed
}

// plan starts counting anew.
func (o *outage) plan(at, length int, landed bool) (was int, hit bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	was, hit = o.count, o.hit
	o.count, o.at, o.length, o.landed, o.hit = 0, at, length, landed, false
	return was, hit
}

// failing is a party's store that can be down.
type failing struct {
	store.Rows
	o *outage
}

func down() error {
	return problem.Wrap(problem.Unavailable, errDown, "the store did not answer in time; try again")
}

func (f *failing) Get(ctx context.Context, keys ...string) (map[string]store.Row, error) {
	if fails, _ := f.o.next(); fails {
		return nil, down()
	}
	return f.Rows.Get(ctx, keys...)
}

func (f *failing) Commit(ctx context.Context, writes ...store.Write) error {
	fails, landed := f.o.next()
	if fails && !landed {
		return down()
	}
	err := f.Rows.Commit(ctx, writes...)
	if fails && err == nil {
		return down()
	}
	return err
}

// step is a part of the main job that is repeated until it is done.
type step struct {
	name string
	do   func() error
}

// steps are the main job from sealing to an approved release, each repeatable.
func (d *desk) steps() []step {
	ctx := context.Background()
	var hash record.Digest
	r := d.world.reader("investigator", nil, nil)
	boss := d.world.reader("supervisor", nil, nil)
	return []step{
		{"seal", func() error {
			cfg := d.collectorConfig("collector")
			d.c.Close()
			c, err := collector.Open(cfg) // one that remembers no status
			d.check(err)
			d.c = c
			return d.try(d.item(nil))
		}},
		{"send", func() error { return d.c.Flush(ctx) }},
		{"ask", func() error {
			if hash != (record.Digest{}) {
				_, err := r.Send(ctx, hash)
				return err
			}
			out, err := r.Ask(ctx, reader.AskInput{Chain: d.unit.Order, Week: d.unit.Week, Class: seal.ContentClass, Purpose: purpose})
			if err == nil {
				hash = out.Hash
			}
			return err
		}},
		{"approve", func() error { return boss.Decide(ctx, hash, true, "within the order") }},
		{"release", func() error {
			out, err := r.Send(ctx, hash)
			if err != nil || !out.Provable {
				return problem.Wrap(problem.Unavailable, err, "not yet in the witnessed log; try again")
			}
			_, err = r.Release(ctx, hash)
			return err
		}},
	}
}

// TestStoreDownCampaign takes the store away at every use in the middle of every step, before and after the write has landed. The
// step fails clearly or gets over it; repeated it succeeds; and nothing that was acknowledged is lost.
func TestStoreDownCampaign(t *testing.T) {
	t.Parallel()
	c, d := newCampaign(t), newDesk(t)
	for i, s := range d.steps() {
		d.down.plan(0, 0, false)
		d.check(s.do())
		uses, _ := d.down.plan(0, 0, false)
		for _, x := range c.flips(uses, 3) {
			d.oneOutage(i, x.at+1, 1+c.IntN(3), x.bit&1 == 0)
		}
		t.Logf("%s: %d uses of the stores", s.name, uses)
	}
	d.down.plan(0, 0, false)
	d.good()
}

// oneOutage runs the job with the store down in step i.
func (d *desk) oneOutage(i, at, length int, landed bool) {
	d.tb.Helper()
	for j, s := range d.steps() {
		if j == i {
			d.down.plan(at, length, landed)
			if err := s.do(); err != nil {
				if why := unclear(err); why != "" {
					d.tb.Errorf("%s, the store down at use %d: %s", s.name, at, why)
				}
			}
			d.down.plan(0, 0, false)
		}
		d.repeated(s)
		if j == i {
			return
		}
	}
}

// repeated does a step until it succeeds.
func (d *desk) repeated(s step) {
	d.tb.Helper()
	var err error
	for range 60 {
		if err = s.do(); err == nil {
			return
		}
		pause()
	}
	d.tb.Fatalf("%s does not recover: %v\n%s", s.name, err, d.logs())
}

// TestDiskFull takes all room from collector, mirror, reader and parties at once: a file larger than 300 KiB cannot be written.
// Each says so, and everything goes on when there is room again.
func TestDiskFull(t *testing.T) {
	if os.Getenv(diskFullVictim) == "" {
		t.Parallel()
		// The limit is a process's, and this one has a log of its own to write.
		cmd := exec.Command(os.Args[0], "-test.run=^TestDiskFull$", "-test.v")
		cmd.Env = append(os.Environ(), diskFullVictim+"=1")
		if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS: TestDiskFull") {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	d := newDesk(t)
	signal.Ignore(syscall.SIGXFSZ)
	for _, s := range []struct {
		name string
		do   func() error
	}{
		{"sealing", func() error { return d.try(d.item(nil)) }},
		{"depositing", func() error { return d.c.Flush(t.Context()) }},
		{"mirroring", func() error { _, err := d.mirrorAt(t.TempDir()).Sync(t.Context(), nil); return err }},
	} {
		if s.name == "depositing" {
			d.check(d.try(d.item(nil))) // something that waits to be sent
		}
		err := limited(t, 300<<10, s.do)
		demand(t, err, unavailable)
	}
	d.good()
	// The parties' own rows cannot grow either: nothing that they acknowledge then is lost.
	err := limited(t, 1<<10, func() error {
		_, err := d.world.reader("investigator", nil, nil).Ask(t.Context(), reader.AskInput{Chain: d.unit.Order, Week: d.unit.Week, Class: seal.ContentClass, Purpose: purpose})
		return err
	})
	demand(t, err, unavailable)
	d.good()
	d.check(d.c.Close())
	d.stop()
	d.serve()
	d.c = d.collector("collector")
	d.good()
}

// diskFullVictim marks the process whose disk is full.
const diskFullVictim = "ARCA_TEST_DISK_FULL"

// limited runs f while no file of this process may grow beyond a size.
func limited(t *testing.T, size uint64, f func() error) error {
	t.Helper()
	var was syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &was); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: size, Max: was.Max}); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &was); err != nil {
			t.Fatal(err)
		}
	}()
	return f()
}
