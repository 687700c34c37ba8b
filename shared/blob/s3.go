package blob

import (
	"bytes"
	"context"
	"io"
	"iter"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"stepsiem/shared/fault"
)

// S3 is a Store on Amazon S3.
type S3 struct{ api *s3.Client }

// NewS3 returns a Store for cfg. A configured endpoint (the local engine's) is addressed by path.
func NewS3(cfg aws.Config) *S3 {
	return &S3{s3.NewFromConfig(cfg, func(o *s3.Options) { o.UsePathStyle = cfg.BaseEndpoint != nil })}
}

// Get implements Store.
func (s *S3) Get(ctx context.Context, bucket, key, version string) (io.ReadCloser, Info, error) {
	in := &s3.GetObjectInput{Bucket: &bucket, Key: &key}
	if version != "" {
		in.VersionId = &version
	}
	out, err := s.api.GetObject(ctx, in)
	if err != nil {
		return nil, Info{}, wrap("get", bucket, key, err)
	}
	info := Info{Bucket: bucket, Key: key, Version: aws.ToString(out.VersionId), ETag: strings.Trim(aws.ToString(out.ETag), `"`),
		Size: aws.ToInt64(out.ContentLength), Time: aws.ToTime(out.LastModified), Type: out.Metadata[MetaType]}
	if sec, err := strconv.ParseInt(out.Metadata[MetaTime], 10, 64); err == nil {
		info.Time = time.Unix(sec, 0).UTC()
	}
	return body{out.Body, bucket, key}, info, nil
}

// body gives read errors their kind and place.
type body struct {
	io.ReadCloser
	bucket, key string
}

func (b body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && err != io.EOF {
		err = fault.New(fault.Unavailable, "read s3://%s/%s: %w", b.bucket, b.key, err)
	}
	return n, err
}

// Put implements Store.
func (s *S3) Put(ctx context.Context, bucket, key string, data []byte, meta map[string]string) (Info, error) {
	out, err := s.api.PutObject(ctx, &s3.PutObjectInput{Bucket: &bucket, Key: &key, Body: bytes.NewReader(data), Metadata: meta})
	if err != nil {
		return Info{}, wrap("put", bucket, key, err)
	}
	return Info{Bucket: bucket, Key: key, Version: aws.ToString(out.VersionId), ETag: strings.Trim(aws.ToString(out.ETag), `"`), Size: int64(len(data))}, nil
}

// List implements Store.
func (s *S3) List(ctx context.Context, bucket, prefix string) iter.Seq2[Info, error] {
	return func(yield func(Info, error) bool) {
		pages := s3.NewListObjectsV2Paginator(s.api, &s3.ListObjectsV2Input{Bucket: &bucket, Prefix: &prefix})
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				yield(Info{}, wrap("list", bucket, prefix, err))
				return
			}
			for _, o := range page.Contents {
				if !yield(Info{Bucket: bucket, Key: aws.ToString(o.Key), ETag: strings.Trim(aws.ToString(o.ETag), `"`), Size: aws.ToInt64(o.Size), Time: aws.ToTime(o.LastModified)}, nil) {
					return
				}
			}
		}
	}
}

// Delete implements Store.
func (s *S3) Delete(ctx context.Context, bucket, key string) error {
	_, err := s.api.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &bucket, Key: &key})
	return wrap("delete", bucket, key, err)
}

func wrap(verb, bucket, key string, err error) error {
	if err == nil {
		return nil
	}
	if fault.Of(err) == fault.NotFound { // the SDK's text would differ at every request
		return fault.New(fault.NotFound, "%s s3://%s/%s: there is no such object", verb, bucket, key)
	}
	return fault.New(fault.Of(err), "%s s3://%s/%s: %w", verb, bucket, key, err)
}
