package calls

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go/middleware"
)

// nowhere refuses every request before it leaves.
type nowhere struct{}

func (nowhere) Do(*http.Request) (*http.Response, error) { return nil, errors.New("nowhere") }

func TestEveryCallIsSeenEvenIfItFails(t *testing.T) {
	var r Recorder
	credentials := aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{AccessKeyID: "a", SecretAccessKey: "s"}, nil
	})
	options := []func(*middleware.Stack) error{r.Record}
	rows := dynamodb.New(dynamodb.Options{Region: "local", Credentials: credentials, HTTPClient: nowhere{}, Retryer: aws.NopRetryer{}, APIOptions: options})
	key := map[string]types.AttributeValue{"k": &types.AttributeValueMemberS{Value: "x"}}
	table := aws.String("t")
	if _, err := rows.TransactWriteItems(t.Context(), &dynamodb.TransactWriteItemsInput{TransactItems: []types.TransactWriteItem{
		{Put: &types.Put{TableName: table, Item: key}},
		{Delete: &types.Delete{TableName: table, Key: key}},
		{ConditionCheck: &types.ConditionCheck{TableName: table, Key: key, ConditionExpression: aws.String("attribute_exists(k)")}},
	}}); err == nil {
		t.Fatal("nowhere answered")
	}
	objects := s3.New(s3.Options{Region: "local", Credentials: credentials, HTTPClient: nowhere{}, Retryer: aws.NopRetryer{}, APIOptions: options})
	if _, err := s3.NewPresignClient(objects).PresignPutObject(t.Context(), &s3.PutObjectInput{Bucket: table, Key: table}); err != nil {
		t.Fatal(err)
	}
	kms.New(kms.Options{Region: "local", Credentials: credentials, HTTPClient: nowhere{}, Retryer: aws.NopRetryer{}, APIOptions: options}).
		Decrypt(t.Context(), &kms.DecryptInput{CiphertextBlob: []byte("x")})
	lambda.New(lambda.Options{Region: "local", Credentials: credentials, HTTPClient: nowhere{}, Retryer: aws.NopRetryer{}, APIOptions: options}).
		Invoke(t.Context(), &lambda.InvokeInput{FunctionName: table})
	want := []string{"dynamodb:TransactWriteItems", "dynamodb:TransactWriteItems/ConditionCheck", "dynamodb:TransactWriteItems/Delete", "dynamodb:TransactWriteItems/Put",
		"kms:Decrypt", "lambda:Invoke", "s3:PutObject"}
	if got := r.Calls(); !slices.Equal(got, want) {
		t.Fatalf("%v\nwant %v", got, want)
	}
}
