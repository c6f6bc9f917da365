package dynamo

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"time"

	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/store"
	"arca.example/arca/shared/store/awscall"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// Commit applies all writes or none.
//
// An attempt without a clear answer is repeated with the same conditions and
// the same token. Should the first attempt arrive after the second, its
// conditions no longer hold, except if the row was deleted and its key used anew within
// the request's signed lifetime; callers that delete do not reuse names so fast.
func (r *Rows) Commit(ctx context.Context, writes ...store.Write) error {
	if err := store.CheckCommit(writes); err != nil {
		return err
	}
	token := make([]byte, 16)
	rand.Read(token) // never fails (crypto/rand)
	unclear := false
	var last error
	for attempt := range r.options.Attempts {
		err := r.send(ctx, writes, token)
		if err == nil {
			return nil
		}
		last = err
		if conditionFailed(err) {
			return r.conflict(ctx, writes, token, unclear)
		}
		switch classify(err) {
		case awscall.Refused:
			if !unclear {
				return unavailable(err)
			}
		case awscall.Unclear:
			unclear = true
		}
		if awscall.Wait(ctx, attempt, r.options.LongestWait) != nil {
			break
		}
	}
	if unclear && r.landed(ctx, writes, token) == yes {
		return nil
	}
	return unavailable(last)
}

// conflict answers a broken condition. After an unclear attempt it may be our
// own earlier write that broke it.
func (r *Rows) conflict(ctx context.Context, writes []store.Write, token []byte, unclear bool) error {
	refused := problem.New(problem.Conflict, "a row changed meanwhile; read again")
	if !unclear {
		return refused
	}
	switch r.landed(ctx, writes, token) {
	case yes:
		return nil
	case no:
		return refused
	}
	return unavailable(errors.New("dynamo: an attempt without an answer, and the rows have moved on since"))
}

type verdict int

const (
	unknown verdict = iota
	yes
	no
)

// landed reads back whether a commit happened. It uses its own time limit,
// because the truth is most needed when the caller's has run out.
func (r *Rows) landed(ctx context.Context, writes []store.Write, token []byte) verdict {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.options.Timeout)
	defer cancel()
	rows, tokens, err := r.readBack(ctx, writes)
	if err != nil {
		return unknown
	}
	for _, w := range writes {
		row, there := rows[w.Key]
		switch {
		case w.Op == store.Put && there && bytes.Equal(tokens[w.Key], token):
			return yes // ours; with it stands the whole commit
		case w.Op == store.Put && there && row.Version == w.Version+1:
			return no // a version is given once, and another commit has it
		case w.Op != store.Check && there && row.Version == w.Version:
			return no // the row is as it was before
		}
	}
	return unknown // overwritten or deleted since, perhaps after us
}

// readBack reads the rows of a commit with their tokens, expired ones as well.
func (r *Rows) readBack(ctx context.Context, writes []store.Write) (map[string]store.Row, map[string][]byte, error) {
	rows, tokens := map[string]store.Row{}, map[string][]byte{}
	for attempt := 0; len(rows) < len(writes); attempt++ {
		var keys []map[string]types.AttributeValue
		for _, w := range writes {
			keys = append(keys, keyOf(w.Key))
		}
		table := r.options.Table
		out, err := r.client().BatchGetItem(ctx, &dynamodb.BatchGetItemInput{
			RequestItems: map[string]types.KeysAndAttributes{table: {Keys: keys, ConsistentRead: aws.Bool(true), ProjectionExpression: aws.String("#k, #v, #n, #e, #t"),
				ExpressionAttributeNames: map[string]string{"#k": "k", "#v": "v", "#n": "n", "#e": "e", "#t": "t"}}},
		})
		if err == nil {
			for _, item := range out.Responses[table] {
				row, token, err := rowOf(item)
				if err != nil {
					return nil, nil, err
				}
				rows[row.Key], tokens[row.Key] = row, token
			}
			if len(out.UnprocessedKeys) == 0 {
				break
			}
		}
		if err := r.again(ctx, attempt, err, true); err != nil {
			return nil, nil, err
		}
	}
	return rows, tokens, nil
}

// send makes one attempt. A single put is one PutItem, half the price of a
// transaction; everything else is a transaction whose request token makes the
// service itself recognise a repetition.
func (r *Rows) send(ctx context.Context, writes []store.Write, token []byte) error {
	now := time.Now().Unix()
	if len(writes) == 1 && writes[0].Op == store.Put {
		c := conditionOf(writes[0], now)
		_, err := r.client().PutItem(ctx, &dynamodb.PutItemInput{
			TableName:                 &r.options.Table,
			Item:                      itemOf(writes[0], token),
			ConditionExpression:       c.expression,
			ExpressionAttributeNames:  c.names,
			ExpressionAttributeValues: c.values,
		})
		return err
	}
	in := &dynamodb.TransactWriteItemsInput{ClientRequestToken: aws.String(hex.EncodeToString(token))}
	for _, w := range writes {
		in.TransactItems = append(in.TransactItems, r.member(w, token, now))
	}
	_, err := r.client().TransactWriteItems(ctx, in)
	return err
}

func (r *Rows) member(w store.Write, token []byte, now int64) types.TransactWriteItem {
	c := conditionOf(w, now)
	switch w.Op {
	case store.Put:
		return types.TransactWriteItem{Put: &types.Put{TableName: &r.options.Table, Item: itemOf(w, token),
			ConditionExpression: c.expression, ExpressionAttributeNames: c.names, ExpressionAttributeValues: c.values}}
	case store.Delete:
		return types.TransactWriteItem{Delete: &types.Delete{TableName: &r.options.Table, Key: keyOf(w.Key),
			ConditionExpression: c.expression, ExpressionAttributeNames: c.names, ExpressionAttributeValues: c.values}}
	}
	return types.TransactWriteItem{ConditionCheck: &types.ConditionCheck{TableName: &r.options.Table, Key: keyOf(w.Key),
		ConditionExpression: c.expression, ExpressionAttributeNames: c.names, ExpressionAttributeValues: c.values}}
}

type condition struct {
	expression *string
	names      map[string]string
	values     map[string]types.AttributeValue
}

// conditionOf requires the version; an expired row counts as absent. A missing
// e makes "#e <= :now" false, which is what a row without expiry needs.
func conditionOf(w store.Write, now int64) condition {
	if w.Version == 0 {
		return condition{
			expression: aws.String("attribute_not_exists(#k) OR #e <= :now"),
			names:      map[string]string{"#k": "k", "#e": "e"},
			values:     map[string]types.AttributeValue{":now": number(now)},
		}
	}
	return condition{
		expression: aws.String("#n = :n AND (attribute_not_exists(#e) OR #e > :now)"),
		names:      map[string]string{"#n": "n", "#e": "e"},
		values:     map[string]types.AttributeValue{":n": number(w.Version), ":now": number(now)},
	}
}

// conditionFailed says whether a condition of the commit did not hold.
func conditionFailed(err error) bool {
	if _, ok := errors.AsType[*types.ConditionalCheckFailedException](err); ok {
		return true
	}
	for _, reason := range cancellation(err) {
		if aws.ToString(reason.Code) == "ConditionalCheckFailed" {
			return true
		}
	}
	return false
}

func cancellation(err error) []types.CancellationReason {
	if c, ok := errors.AsType[*types.TransactionCanceledException](err); ok {
		return c.CancellationReasons
	}
	return nil
}

// classify looks into a cancelled transaction: if any reason is one to wait
// for, so is the whole.
func classify(err error) awscall.Outcome {
	for _, reason := range cancellation(err) {
		if code := aws.ToString(reason.Code); awscall.IsBusy(code) || awscall.IsBusy(code+"Exception") || code == "ProvisionedThroughputExceeded" {
			return awscall.Busy
		}
	}
	return awscall.Classify(err)
}
