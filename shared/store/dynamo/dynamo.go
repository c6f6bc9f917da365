// Package dynamo keeps store.Rows in one table of DynamoDB or of an engine with its API.
//
// It promises what store.Rows promises: strongly consistent reads, conditional
// writes, and an answer that is true or Unavailable. Every Commit carries a
// random token into each row that it puts. When a call ends without a clear
// answer, the same conditional call is repeated, and if it then finds its
// condition broken, the token in the row says whether the earlier attempt had
// landed. The SDK's hidden retries are off.
//
// It trusts the service's answers, not its availability. Throttling and
// transaction conflicts are waited out, then reported as Unavailable.
//
// Table: partition key k (S), no sort key; v (B) value, n (N) version, e (N)
// unix expiry if any, t (B) commit token. The service's TTL on e may remove
// rows late or never; every read and condition filters by e itself.
package dynamo

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"time"

	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/store"
	"arca.example/arca/shared/store/awscall"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/smithy-go/middleware"
)

// Options of a table. Region and Table have no default.
type Options struct {
	Region      string
	Table       string
	Endpoint    string                          // empty: AWS's own
	Credentials aws.CredentialsProvider         // nil: awscall.Environment
	Attempts    int                             // per operation; 0: 8
	Timeout     time.Duration                   // per attempt; 0: 5 s
	LongestWait time.Duration                   // between attempts; 0: 1 s
	APIOptions  []func(*middleware.Stack) error // fault injection and recording, in tests
}

// Rows is a store.Rows in a DynamoDB table. It is safe for concurrent use.
type Rows struct {
	options Options
	client  func() *dynamodb.Client
}

// New describes the table; nothing is constructed or sent before the first use,
// which keeps a cold start short.
func New(options Options) *Rows {
	if options.Credentials == nil {
		options.Credentials = awscall.Environment
	}
	if options.Attempts == 0 {
		options.Attempts = 8
	}
	if options.LongestWait == 0 {
		options.LongestWait = time.Second
	}
	if options.Timeout == 0 {
		options.Timeout = 5 * time.Second
	}
	return &Rows{options: options, client: sync.OnceValue(func() *dynamodb.Client {
		o := dynamodb.Options{
			Region:      options.Region,
			Credentials: options.Credentials,
			HTTPClient:  awscall.NewClient(options.Timeout),
			Retryer:     aws.NopRetryer{},
			APIOptions:  options.APIOptions,
		}
		if options.Endpoint != "" {
			o.BaseEndpoint = aws.String(options.Endpoint)
		}
		return dynamodb.New(o)
	})}
}

// CreateTable makes the table for tests and waits until it answers. In a
// deployment the template makes it.
func (r *Rows) CreateTable(ctx context.Context) error {
	_, err := r.client().CreateTable(ctx, &dynamodb.CreateTableInput{
		TableName:            &r.options.Table,
		BillingMode:          types.BillingModePayPerRequest,
		AttributeDefinitions: []types.AttributeDefinition{{AttributeName: aws.String("k"), AttributeType: types.ScalarAttributeTypeS}},
		KeySchema:            []types.KeySchemaElement{{AttributeName: aws.String("k"), KeyType: types.KeyTypeHash}},
	})
	if err != nil {
		return fmt.Errorf("create table: %w", err)
	}
	waiter := dynamodb.NewTableExistsWaiter(r.client(), func(o *dynamodb.TableExistsWaiterOptions) { o.MinDelay, o.MaxDelay = 50*time.Millisecond, time.Second })
	return waiter.Wait(ctx, &dynamodb.DescribeTableInput{TableName: &r.options.Table}, time.Minute)
}

// Get returns the present rows among keys. Rows are read one by one: two rows
// of one Get may stand before and after a Commit that wrote both.
func (r *Rows) Get(ctx context.Context, keys ...string) (map[string]store.Row, error) {
	if err := store.CheckGet(keys); err != nil {
		return nil, err
	}
	found := make(map[string]store.Row, len(keys))
	var pending []map[string]types.AttributeValue
	for _, k := range keys {
		pending = append(pending, keyOf(k))
	}
	now := time.Now()
	for attempt := 0; len(pending) > 0; attempt++ {
		left, err := r.getSome(ctx, pending, now, found)
		if err == nil && len(left) < len(pending) {
			attempt = -1 // progress: large rows come in several answers
		}
		if err == nil {
			pending = left
		}
		if err := r.again(ctx, attempt, err, len(pending) > 0); err != nil {
			return nil, err
		}
	}
	return found, nil
}

// getSome reads what the service is willing to read at once and gives the keys that are left.
func (r *Rows) getSome(ctx context.Context, keys []map[string]types.AttributeValue, now time.Time, found map[string]store.Row) ([]map[string]types.AttributeValue, error) {
	table := r.options.Table
	out, err := r.client().BatchGetItem(ctx, &dynamodb.BatchGetItemInput{
		RequestItems: map[string]types.KeysAndAttributes{table: {Keys: keys, ConsistentRead: aws.Bool(true)}},
	})
	if err != nil {
		return nil, err
	}
	for _, item := range out.Responses[table] {
		row, _, err := rowOf(item)
		if err != nil {
			return nil, err
		}
		if present(row, now) {
			found[row.Key] = row
		}
	}
	return out.UnprocessedKeys[table].Keys, nil
}

// again decides after one attempt of a read, which is always safe to repeat:
// nil means go on, with or without having waited.
func (r *Rows) again(ctx context.Context, attempt int, err error, more bool) error {
	if err == nil && (!more || attempt < 0) {
		return nil
	}
	if err != nil && awscall.Classify(err) == awscall.Refused {
		return unavailable(err)
	}
	if attempt+1 >= r.options.Attempts {
		return unavailable(err)
	}
	if werr := awscall.Wait(ctx, attempt, r.options.LongestWait); werr != nil {
		return unavailable(werr)
	}
	return nil
}

// Scan yields every row of a segment, page by page.
func (r *Rows) Scan(ctx context.Context, segment, segments int, yield func(store.Row) error) error {
	if err := store.CheckScan(segment, segments); err != nil {
		return err
	}
	in := &dynamodb.ScanInput{TableName: &r.options.Table, ConsistentRead: aws.Bool(true)}
	if segments > 1 {
		in.Segment, in.TotalSegments = aws.Int32(int32(segment)), aws.Int32(int32(segments))
	}
	for attempt := 0; ; attempt++ {
		out, err := r.client().Scan(ctx, in)
		if err != nil {
			if err := r.again(ctx, attempt, err, true); err != nil {
				return err
			}
			continue
		}
		for _, item := range out.Items {
			row, _, err := rowOf(item)
			if err != nil {
				return unavailable(err)
			}
			if !present(row, time.Now()) {
				continue
			}
			if err := yield(row); err != nil {
				return err
			}
		}
		if len(out.LastEvaluatedKey) == 0 {
			return nil
		}
		in.ExclusiveStartKey, attempt = out.LastEvaluatedKey, -1
	}
}

func keyOf(k string) map[string]types.AttributeValue {
	return map[string]types.AttributeValue{"k": &types.AttributeValueMemberS{Value: k}}
}

func number(n int64) types.AttributeValue {
	return &types.AttributeValueMemberN{Value: strconv.FormatInt(n, 10)}
}

func itemOf(w store.Write, token []byte) map[string]types.AttributeValue {
	value := w.Value
	if value == nil {
		value = []byte{} // nil would be sent as no value at all
	}
	item := keyOf(w.Key)
	item["v"] = &types.AttributeValueMemberB{Value: value}
	item["n"] = number(w.Version + 1)
	item["t"] = &types.AttributeValueMemberB{Value: token}
	if !w.Expires.IsZero() {
		item["e"] = number(w.Expires.Unix())
	}
	return item
}

// rowOf reads an item, which only this package writes; anything else in the table is an error.
func rowOf(item map[string]types.AttributeValue) (row store.Row, token []byte, err error) {
	k, okKey := item["k"].(*types.AttributeValueMemberS)
	v, okValue := item["v"].(*types.AttributeValueMemberB)
	n, okVersion := item["n"].(*types.AttributeValueMemberN)
	t, okToken := item["t"].(*types.AttributeValueMemberB)
	if !okKey || !okValue || !okVersion || !okToken {
		return row, nil, fmt.Errorf("dynamo: an item is not of the table's format")
	}
	row = store.Row{Key: k.Value, Value: v.Value}
	if row.Version, err = strconv.ParseInt(n.Value, 10, 64); err != nil {
		return row, nil, fmt.Errorf("dynamo: version: %w", err)
	}
	if e, ok := item["e"].(*types.AttributeValueMemberN); ok {
		seconds, err := strconv.ParseInt(e.Value, 10, 64)
		if err != nil {
			return row, nil, fmt.Errorf("dynamo: expiry: %w", err)
		}
		row.Expires = time.Unix(seconds, 0).UTC()
	}
	return row, t.Value, nil
}

func present(row store.Row, now time.Time) bool {
	return row.Expires.IsZero() || row.Expires.Unix() > now.Unix()
}

func unavailable(err error) error {
	return problem.Wrap(problem.Unavailable, err, "the database did not answer in time; read again before repeating")
}
