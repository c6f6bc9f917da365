// Command tessera-peer measures durable appends to a tessera log on its POSIX
// driver, as Arca's benchmark measures its own log:
//
//	tessera-peer FOLDER CLIENTS SECONDS
//
// Each client adds 32 random bytes and waits until they have an index, which
// on this driver means that entry bundle, tiles and tree state are written and
// synced. Deduplication (antispam) is off. A batch leaves when it holds as many
// entries as there are clients, or after a millisecond. Prints one line of
// JSON: appends per second, and p50 and p99 of an append in milliseconds.
package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/transparency-dev/tessera"
	"github.com/transparency-dev/tessera/storage/posix"
	"golang.org/x/mod/sumdb/note"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "tessera-peer:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 3 {
		return fmt.Errorf("usage: tessera-peer FOLDER CLIENTS SECONDS")
	}
	clients, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	seconds, err := strconv.Atoi(args[2])
	if err != nil {
		return err
	}
	ctx := context.Background()
	appender, shutdown, err := open(ctx, args[0], clients)
	if err != nil {
		return err
	}
	waits, took, err := load(ctx, appender, clients, time.Duration(seconds)*time.Second)
	if err != nil {
		return err
	}
	if err := shutdown(ctx); err != nil {
		return err
	}
	return show(waits, took)
}

func open(ctx context.Context, folder string, clients int) (*tessera.Appender, func(context.Context) error, error) {
	secret, _, err := note.GenerateKey(rand.Reader, "peer.example/log")
	if err != nil {
		return nil, nil, err
	}
	signer, err := note.NewSigner(secret)
	if err != nil {
		return nil, nil, err
	}
	driver, err := posix.New(ctx, posix.Config{Path: folder})
	if err != nil {
		return nil, nil, err
	}
	options := tessera.NewAppendOptions().WithCheckpointSigner(signer).
		WithBatching(uint(clients), time.Millisecond).WithCheckpointInterval(time.Second)
	appender, shutdown, _, err := tessera.NewAppender(ctx, driver, options)
	return appender, shutdown, err
}

func load(ctx context.Context, appender *tessera.Appender, clients int, span time.Duration) ([]time.Duration, time.Duration, error) {
	var mu sync.Mutex
	var waits []time.Duration
	var first error
	var all sync.WaitGroup
	began := time.Now()
	for range clients {
		all.Go(func() {
			var own []time.Duration
			var err error
			for err == nil && time.Since(began) < span {
				entry := make([]byte, 32)
				rand.Read(entry)
				from := time.Now()
				if _, err = appender.Add(ctx, tessera.NewEntry(entry))(); err == nil {
					own = append(own, time.Since(from))
				}
			}
			mu.Lock()
			defer mu.Unlock()
			waits = append(waits, own...)
			if first == nil {
				first = err
			}
		})
	}
	all.Wait()
	return waits, time.Since(began), first
}

func show(waits []time.Duration, took time.Duration) error {
	if len(waits) == 0 {
		return fmt.Errorf("nothing was appended")
	}
	slices.Sort(waits)
	return json.NewEncoder(os.Stdout).Encode(map[string]float64{
		"appends/s": float64(len(waits)) / took.Seconds(),
		"p50-ms":    float64(waits[len(waits)/2].Microseconds()) / 1000,
		"p99-ms":    float64(waits[len(waits)*99/100].Microseconds()) / 1000,
	})
}
