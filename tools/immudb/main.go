// Command immudb-peer measures durable, verified sets of immudb, as Arca's
// benchmark measures appends to its own log:
//
//	immudb-peer FOLDER CLIENTS SECONDS
//
// Server and clients share this process and talk over loopback TCP. The server
// is durable as it is by default (synced: a set is answered after fsync). Each
// client has a session and a state folder of its own, as clients on different
// machines have, and calls VerifiedSet with a key and value of 32 random bytes:
// set, inclusion and consistency proof in one call, checked by the client.
// Prints one line of JSON: appends per second, and p50 and p99 in milliseconds.
package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/codenotary/immudb/embedded/logger"
	"github.com/codenotary/immudb/pkg/client"
	"github.com/codenotary/immudb/pkg/server"
	"github.com/codenotary/immudb/pkg/server/sessions"
)

const start = 30 * time.Second // for server and sessions

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "immudb-peer:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 3 {
		return fmt.Errorf("usage: immudb-peer FOLDER CLIENTS SECONDS")
	}
	clients, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	seconds, err := strconv.Atoi(args[2])
	if err != nil {
		return err
	}
	address, err := serve(filepath.Join(args[0], "server"))
	if err != nil {
		return err
	}
	var open []client.ImmuClient
	for i := range clients {
		c, err := connect(filepath.Join(args[0], fmt.Sprintf("client-%d", i)), address)
		if err != nil {
			return err
		}
		open = append(open, c)
	}
	waits, took, err := load(open, time.Duration(seconds)*time.Second)
	if err != nil {
		return err
	}
	return show(waits, took)
}

// serve starts the server for as long as this process lives.
func serve(folder string) (*net.TCPAddr, error) {
	log.SetOutput(io.Discard)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	limits := sessions.DefaultOptions().WithMaxSessions(1024)
	options := server.DefaultOptions().WithDir(folder).WithListener(listener).WithSynced(true).WithSessionOptions(limits).
		WithMetricsServer(false).WithWebServer(false).WithPgsqlServer(false).WithDetached(true)
	s := server.DefaultServer().WithOptions(options).WithLogger(logger.NewSimpleLoggerWithLevel("immudb", io.Discard, logger.LogError))
	if err := s.Initialize(); err != nil {
		return nil, err
	}
	go func() {
		if err := s.Start(); err != nil {
			fmt.Fprintln(os.Stderr, "immudb-peer:", err)
			os.Exit(1)
		}
	}()
	return listener.Addr().(*net.TCPAddr), nil
}

func connect(folder string, address *net.TCPAddr) (client.ImmuClient, error) {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, err
	}
	c := client.NewClient().WithOptions(client.DefaultOptions().WithAddress(address.IP.String()).WithPort(address.Port).WithDir(folder))
	ctx, cancel := context.WithTimeout(context.Background(), start)
	defer cancel()
	err := c.OpenSession(ctx, []byte("immudb"), []byte("immudb"), "defaultdb")
	return c, err
}

func load(open []client.ImmuClient, span time.Duration) ([]time.Duration, time.Duration, error) {
	var mu sync.Mutex
	var waits []time.Duration
	var first error
	var all sync.WaitGroup
	began := time.Now()
	for _, c := range open {
		all.Go(func() {
			var own []time.Duration
			var err error
			for err == nil && time.Since(began) < span {
				var key, value [32]byte
				rand.Read(key[:])
				rand.Read(value[:])
				from := time.Now()
				if _, err = c.VerifiedSet(context.Background(), key[:], value[:]); err == nil {
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
		return fmt.Errorf("nothing was set")
	}
	slices.Sort(waits)
	return json.NewEncoder(os.Stdout).Encode(map[string]float64{
		"appends/s": float64(len(waits)) / took.Seconds(),
		"p50-ms":    float64(waits[len(waits)/2].Microseconds()) / 1000,
		"p99-ms":    float64(waits[len(waits)*99/100].Microseconds()) / 1000,
	})
}
