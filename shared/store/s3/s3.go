// Package s3 keeps store.Blobs in a bucket of S3 or of a server with its API.
//
// It promises what store.Blobs promises. Put sends If-None-Match: *, the length
// and the SHA-256, which the service verifies before the object exists. When a
// Put ends without a clear answer, the object is looked at: if it is there with
// this size and checksum it counts as stored, because its key was new and its
// bytes are these.
//
// It trusts the service's answers and its checksum, not its availability or
// secrecy. The SDK's hidden retries are off. Presigned uploads carry the same
// three headers under the signature; none is moved into the URL, where a
// server may overlook it.
//
// What S3 itself must be set to (versioning, public access blocked, Object
// Lock) stands in the template; nothing here depends on it.
package s3

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/store"
	"arca.example/arca/shared/store/awscall"
	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go/middleware"
)

// Options of a bucket. Region and Bucket have no default.
type Options struct {
	Region      string
	Bucket      string
	Endpoint    string                          // empty: AWS's own
	PathStyle   bool                            // for servers without a name per bucket
	Credentials aws.CredentialsProvider         // nil: awscall.Environment
	Attempts    int                             // per operation; 0: 6
	Timeout     time.Duration                   // per attempt, whole transfer; 0: 2 min
	LongestWait time.Duration                   // between attempts; 0: 1 s
	APIOptions  []func(*middleware.Stack) error // fault injection and recording, in tests
}

// Blobs is a store.Blobs and store.Presigner in a bucket. It is safe for concurrent use.
type Blobs struct {
	options Options
	client  func() *s3.Client
}

// New describes the bucket; nothing is constructed or sent before the first use,
// which keeps a cold start short.
func New(options Options) *Blobs {
	if options.Credentials == nil {
		options.Credentials = awscall.Environment
	}
	if options.Attempts == 0 {
		options.Attempts = 6
	}
	if options.LongestWait == 0 {
		options.LongestWait = time.Second
	}
	if options.Timeout == 0 {
		options.Timeout = 2 * time.Minute
	}
	return &Blobs{options: options, client: sync.OnceValue(func() *s3.Client {
		o := s3.Options{
			Region:       options.Region,
			Credentials:  options.Credentials,
			HTTPClient:   awscall.NewClient(options.Timeout),
			Retryer:      aws.NopRetryer{},
			UsePathStyle: options.PathStyle,
			APIOptions:   options.APIOptions,
			// Checksums are given by hand where they matter.
			RequestChecksumCalculation: aws.RequestChecksumCalculationWhenRequired,
			ResponseChecksumValidation: aws.ResponseChecksumValidationWhenRequired,
		}
		if options.Endpoint != "" {
			o.BaseEndpoint = aws.String(options.Endpoint)
		}
		return s3.New(o)
	})}
}

// Put stores body if the key is new. A body that can seek is sent again after a
// failure; of another, one attempt must do.
func (b *Blobs) Put(ctx context.Context, key string, size int64, sum [32]byte, body io.Reader) error {
	if err := store.CheckPut(key, size); err != nil {
		return err
	}
	rewind := rewinder(body)
	unclear := false
	for attempt := 0; ; attempt++ {
		source := &recorder{r: store.Exactly(body, size)}
		err := b.putOnce(ctx, key, size, sum, source)
		switch {
		case err == nil:
			return nil
		case source.err != nil: // the body's own failure; the object was never completed
			return bodyError(source.err)
		case exists(err):
			return b.conflict(ctx, key, size, sum, unclear)
		case mismatch(err):
			return problem.Wrap(problem.Invalid, err, "the object does not have the announced checksum")
		}
		switch awscall.Classify(err) {
		case awscall.Refused:
			return unavailable(err)
		case awscall.Unclear:
			unclear = true
			if b.holds(ctx, key, size, sum) {
				return nil
			}
		}
		if attempt+1 >= b.options.Attempts || rewind == nil || awscall.Wait(ctx, attempt, b.options.LongestWait) != nil {
			return unavailable(err)
		}
		if err := rewind(); err != nil {
			return bodyError(err)
		}
	}
}

func (b *Blobs) putOnce(ctx context.Context, key string, size int64, sum [32]byte, body io.Reader) error {
	if size == 0 {
		// Sent without a body, so look first that there is none.
		if _, err := io.Copy(io.Discard, body); err != nil {
			return err
		}
		body = bytes.NewReader(nil)
	}
	_, err := b.client().PutObject(ctx, b.putInput(key, size, sum, body), func(o *s3.Options) {
		o.APIOptions = append(o.APIOptions[:len(o.APIOptions):len(o.APIOptions)], payloadHash(sum))
	})
	return err
}

func (b *Blobs) putInput(key string, size int64, sum [32]byte, body io.Reader) *s3.PutObjectInput {
	return &s3.PutObjectInput{
		Bucket:         &b.options.Bucket,
		Key:            &key,
		Body:           body,
		ContentLength:  aws.Int64(size),
		ContentType:    aws.String("application/octet-stream"),
		ChecksumSHA256: aws.String(base64.StdEncoding.EncodeToString(sum[:])),
		IfNoneMatch:    aws.String("*"),
	}
}

// payloadHash gives the known checksum to the request signature as well, so
// that the body is neither read twice nor left out of the signature.
func payloadHash(sum [32]byte) func(*middleware.Stack) error {
	set := middleware.InitializeMiddlewareFunc("KnownPayloadHash", func(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
		return next.HandleInitialize(v4.SetPayloadHash(ctx, hex.EncodeToString(sum[:])), in)
	})
	return func(stack *middleware.Stack) error { return stack.Initialize.Add(set, middleware.Before) }
}

// conflict answers a key that exists. After an unclear attempt it may be our own object.
func (b *Blobs) conflict(ctx context.Context, key string, size int64, sum [32]byte, unclear bool) error {
	if unclear && b.holds(ctx, key, size, sum) {
		return nil
	}
	return problem.New(problem.Conflict, "an object with this key exists and is never overwritten")
}

// holds looks, within a time limit of its own, whether the object is there as it was to be put.
func (b *Blobs) holds(ctx context.Context, key string, size int64, sum [32]byte) bool {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	info, err := b.Stat(ctx, key)
	return err == nil && info.Size == size && info.SHA256 == sum
}

// recorder keeps the body's own error, which the SDK buries among its own.
type recorder struct {
	r   io.Reader
	err error
}

func (r *recorder) Read(p []byte) (int, error) {
	n, err := r.r.Read(p)
	if err != nil && err != io.EOF {
		r.err = err
	}
	return n, err
}

func bodyError(err error) error {
	if problem.KindOf(err) == problem.Invalid {
		return err
	}
	return problem.Wrap(problem.Unavailable, err, "the object's body broke off; nothing was stored; send it again")
}

// rewinder gives the way back to where the body stands now, or nil.
func rewinder(body io.Reader) func() error {
	s, ok := body.(io.Seeker)
	if !ok {
		return nil
	}
	at, err := s.Seek(0, io.SeekCurrent)
	if err != nil {
		return nil
	}
	return func() error { _, err := s.Seek(at, io.SeekStart); return err }
}

// Get reads length bytes from offset. A body that breaks off ends in an error, never in io.EOF.
func (b *Blobs) Get(ctx context.Context, key string, offset, length int64) (io.ReadCloser, error) {
	if err := store.CheckBlobKey(key); err != nil {
		return nil, err
	}
	if err := store.CheckRange(offset, length); err != nil {
		return nil, err
	}
	outside := problem.New(problem.Invalid, "the range reaches outside the object")
	if length == 0 || offset > store.MaxBlobBytes || length > store.MaxBlobBytes {
		return b.nothing(ctx, key, offset, length)
	}
	in := &s3.GetObjectInput{Bucket: &b.options.Bucket, Key: &key}
	if length > 0 {
		in.Range = aws.String(fmt.Sprintf("bytes=%d-%d", offset, offset+length-1))
	} else if offset > 0 {
		in.Range = aws.String(fmt.Sprintf("bytes=%d-", offset))
	}
	var out *s3.GetObjectOutput
	err := b.repeat(ctx, func() (err error) { out, err = b.client().GetObject(ctx, in); return err })
	if awscall.Code(err) == "InvalidRange" || awscall.Status(err) == http.StatusRequestedRangeNotSatisfiable {
		return b.nothing(ctx, key, offset, length)
	}
	if err != nil {
		return nil, readError(err)
	}
	// A range that starts inside and ends outside is cut by the service, not refused.
	if got := aws.ToInt64(out.ContentLength); length > 0 && got != length {
		out.Body.Close()
		return nil, outside
	}
	return out.Body, nil
}

// nothing answers ranges that S3 cannot express: empty ones, which are right
// if they lie inside the object or at its end.
func (b *Blobs) nothing(ctx context.Context, key string, offset, length int64) (io.ReadCloser, error) {
	info, err := b.Stat(ctx, key)
	if err != nil {
		return nil, err
	}
	if length > 0 || offset > info.Size {
		return nil, problem.New(problem.Invalid, "the range reaches outside the object")
	}
	return http.NoBody, nil
}

// Stat gives size and the checksum that the service verified on upload.
func (b *Blobs) Stat(ctx context.Context, key string) (store.Info, error) {
	if err := store.CheckBlobKey(key); err != nil {
		return store.Info{}, err
	}
	var out *s3.HeadObjectOutput
	err := b.repeat(ctx, func() (err error) {
		out, err = b.client().HeadObject(ctx, &s3.HeadObjectInput{Bucket: &b.options.Bucket, Key: &key, ChecksumMode: types.ChecksumModeEnabled})
		return err
	})
	if err != nil {
		return store.Info{}, readError(err)
	}
	sum, err := base64.StdEncoding.Strict().DecodeString(aws.ToString(out.ChecksumSHA256))
	if err != nil || len(sum) != sha256.Size {
		return store.Info{}, problem.Wrap(problem.Internal, errors.New("s3: the object was not uploaded with a SHA-256"), "an object came into the store by another way than Arca's; tell the operator")
	}
	return store.Info{Key: key, Size: aws.ToInt64(out.ContentLength), SHA256: [32]byte(sum)}, nil
}

// List lists in byte order, without checksums.
func (b *Blobs) List(ctx context.Context, prefix, after string, limit int) ([]store.Info, error) {
	if err := store.CheckList(prefix, after, limit); err != nil {
		return nil, err
	}
	in := &s3.ListObjectsV2Input{Bucket: &b.options.Bucket, Prefix: &prefix}
	if after != "" {
		in.StartAfter = &after
	}
	var found []store.Info
	for len(found) < limit {
		in.MaxKeys = aws.Int32(int32(limit - len(found)))
		var out *s3.ListObjectsV2Output
		err := b.repeat(ctx, func() (err error) { out, err = b.client().ListObjectsV2(ctx, in); return err })
		if err != nil {
			return nil, unavailable(err)
		}
		for _, o := range out.Contents {
			// Some servers list folders of their own making, which are no objects of ours.
			if key := aws.ToString(o.Key); !strings.HasSuffix(key, "/") {
				found = append(found, store.Info{Key: key, Size: aws.ToInt64(o.Size)})
			}
		}
		if !aws.ToBool(out.IsTruncated) {
			break
		}
		in.ContinuationToken = out.NextContinuationToken
	}
	return found, nil
}

// Delete removes an object; on a bucket with versioning it hides it.
func (b *Blobs) Delete(ctx context.Context, key string) error {
	if err := store.CheckBlobKey(key); err != nil {
		return err
	}
	err := b.repeat(ctx, func() error {
		_, err := b.client().DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &b.options.Bucket, Key: &key})
		return err
	})
	if err != nil && !notFound(err) {
		return unavailable(err)
	}
	return nil
}

// repeat runs an operation that may safely run twice until it is answered.
func (b *Blobs) repeat(ctx context.Context, once func() error) error {
	for attempt := 0; ; attempt++ {
		err := once()
		if err == nil || awscall.Classify(err) == awscall.Refused || attempt+1 >= b.options.Attempts {
			return err
		}
		if werr := awscall.Wait(ctx, attempt, b.options.LongestWait); werr != nil {
			return errors.Join(werr, err)
		}
	}
}

// PresignPut allows one upload of exactly these bytes to a key that is new.
func (b *Blobs) PresignPut(ctx context.Context, key string, size int64, sum [32]byte, expires time.Time) (store.Transfer, error) {
	if err := store.CheckPut(key, size); err != nil {
		return store.Transfer{}, err
	}
	in := b.putInput(key, size, sum, nil)
	in.ContentType = nil
	signed, err := s3.NewPresignClient(b.client()).PresignPutObject(ctx, in, presignOptions(expires))
	if err != nil {
		return store.Transfer{}, unavailable(err)
	}
	t := transfer(signed.Method, signed.URL, signed.SignedHeader, expires)
	// The signer leaves a length of 0 out; an empty body cannot be mistaken for another, its checksum is bound.
	t.Header.Set("Content-Length", strconv.FormatInt(size, 10))
	return t, nil
}

// PresignGet allows to download one object.
func (b *Blobs) PresignGet(ctx context.Context, key string, expires time.Time) (store.Transfer, error) {
	if err := store.CheckBlobKey(key); err != nil {
		return store.Transfer{}, err
	}
	signed, err := s3.NewPresignClient(b.client()).PresignGetObject(ctx, &s3.GetObjectInput{Bucket: &b.options.Bucket, Key: &key}, presignOptions(expires))
	if err != nil {
		return store.Transfer{}, unavailable(err)
	}
	return transfer(signed.Method, signed.URL, signed.SignedHeader, expires), nil
}

func presignOptions(expires time.Time) func(*s3.PresignOptions) {
	return func(o *s3.PresignOptions) {
		o.Expires = max(time.Second, time.Until(expires).Truncate(time.Second))
		o.Presigner = headersStay{v4.NewSigner()}
	}
}

// headersStay signs headers as headers. By default the SDK moves x-amz-*
// headers into the URL, where no client has to repeat them.
type headersStay struct{ signer *v4.Signer }

func (h headersStay) PresignHTTP(ctx context.Context, c aws.Credentials, r *http.Request, payloadHash, service, region string, at time.Time, options ...func(*v4.SignerOptions)) (string, http.Header, error) {
	options = append(options, func(o *v4.SignerOptions) { o.DisableHeaderHoisting, o.DisableURIPathEscaping = true, true })
	return h.signer.PresignHTTP(ctx, c, r, payloadHash, service, region, at, options...)
}

// transfer leaves the Host header to the URL, which names the same.
func transfer(method, url string, signed http.Header, expires time.Time) store.Transfer {
	h := http.Header{}
	for name, values := range signed {
		if !strings.EqualFold(name, "Host") {
			h[http.CanonicalHeaderKey(name)] = values
		}
	}
	return store.Transfer{Method: method, URL: url, Header: h, Expires: expires}
}

func exists(err error) bool {
	return awscall.Code(err) == "PreconditionFailed" || awscall.Status(err) == http.StatusPreconditionFailed
}

// mismatch says whether the service refused the body for its checksum.
func mismatch(err error) bool {
	switch awscall.Code(err) {
	case "BadDigest", "XAmzContentSHA256Mismatch", "InvalidDigest", "XAmzContentChecksumMismatch", "IncompleteBody":
		return true
	}
	return false
}

func notFound(err error) bool {
	code := awscall.Code(err)
	return code == "NoSuchKey" || code == "NotFound" || (awscall.Status(err) == http.StatusNotFound && code != "NoSuchBucket")
}

func readError(err error) error {
	if notFound(err) {
		return problem.New(problem.NotFound, "no such object")
	}
	return unavailable(err)
}

func unavailable(err error) error {
	return problem.Wrap(problem.Unavailable, err, "the object store did not answer in time; look before repeating")
}
