package batch

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"stepsiem/shared/fault"
)

func TestQuarantine(t *testing.T) {
	at := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	entry := func(key string, offset int64) Entry {
		return Entry{Reason: "no such day", Kind: "record", Type: "authlog", Batch: "b", Bucket: "landing", Key: key, Version: "v1",
			Offset: offset, Length: 3, Raw: []byte{0xff, 0, '\n'}, Count: 1, Time: at}
	}
	rest := func(key string, offset, count int64) Entry {
		e := entry(key, offset)
		e.Raw, e.Count = nil, count
		return e
	}
	long := entry("a", 0)
	long.Raw, long.Length = bytes.Repeat([]byte("x"), MaxRaw+1), MaxRaw+1
	cut := long
	cut.Raw = long.Raw[:MaxRaw]
	absurd := entry("a", 0)
	absurd.Time = time.Unix(1<<50, 0)
	timeless := absurd
	timeless.Time = time.Time{}
	bare := entry("a", 0)
	bare.Count = 0

	for name, tt := range map[string]struct {
		max      int
		in, want []Entry
		len      int64
	}{
		"nothing":                  {max: 2},
		"all kept":                 {2, []Entry{entry("a", 0), entry("b", 7)}, []Entry{entry("a", 0), entry("b", 7)}, 2},
		"count is one unless said": {2, []Entry{bare}, []Entry{entry("a", 0)}, 1},
		"the rest of each object is counted": {1, []Entry{entry("a", 0), entry("a", 4), entry("b", 1), rest("a", 8, 5), entry("b", 2)},
			[]Entry{entry("a", 0), rest("a", 4, 6), rest("b", 1, 2)}, 9},
		"none kept":               {0, []Entry{entry("a", 3)}, []Entry{rest("a", 3, 1)}, 1},
		"long records are cut":    {1, []Entry{long}, []Entry{cut}, 1},
		"no time that JSON lacks": {1, []Entry{absurd}, []Entry{timeless}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			write := func() []byte {
				q := NewQuarantine(tt.max)
				for _, e := range tt.in {
					q.Add(e)
				}
				if q.Len() != tt.len {
					t.Errorf("Len is %d, want %d", q.Len(), tt.len)
				}
				return q.Bytes()
			}
			stored := write()
			if !bytes.Equal(stored, write()) {
				t.Error("the same entries made other bytes")
			}
			var got []Entry
			for e, err := range ReadQuarantine(bytes.NewReader(stored)) {
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, e)
			}
			if !reflect.DeepEqual(got, tt.want) {
				t.Errorf("read %+v\nwant %+v", got, tt.want)
			}
		})
	}
}

func TestReadQuarantineErrors(t *testing.T) {
	q := NewQuarantine(1)
	q.Add(Entry{Reason: "r"})
	stored := q.Bytes()
	for name, tt := range map[string]struct {
		in   []byte
		fail error
		want fault.Kind
	}{
		"not gzip":  {in: []byte("{}"), want: fault.BadInput},
		"truncated": {in: stored[:len(stored)-9], want: fault.BadInput},
		"outage":    {in: nil, fail: fault.New(fault.Unavailable, "reset"), want: fault.Unavailable},
	} {
		t.Run(name, func(t *testing.T) {
			r := iotest.DataErrReader(bytes.NewReader(tt.in))
			if tt.fail != nil {
				r = iotest.ErrReader(tt.fail)
			}
			var errs []error
			for _, err := range ReadQuarantine(r) {
				if err != nil {
					errs = append(errs, err)
				}
			}
			if err := errors.Join(errs...); len(errs) != 1 || fault.Of(errs[0]) != tt.want || !strings.Contains(err.Error(), "read quarantine") {
				t.Errorf("errors %v, want one of kind %s", errs, tt.want)
			}
		})
	}
}
