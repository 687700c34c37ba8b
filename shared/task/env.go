package task

import (
	"context"
	"fmt"
	"os"
	"reflect"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
)

// Env fills a Config from the environment: each field of type string, int, int64 or time.Duration (seconds) carries a tag
// `env:"NAME"`, with `default:"…"` when it may be left out. It is called once, in main.go.
func Env[Config any]() (Config, error) {
	var c Config
	v := reflect.ValueOf(&c).Elem()
	for i := range v.NumField() {
		f := v.Type().Field(i)
		name := f.Tag.Get("env")
		text, ok := os.LookupEnv(name)
		if !ok {
			if text, ok = f.Tag.Lookup("default"); !ok {
				return c, fmt.Errorf("read environment: %s is not set", name)
			}
		}
		if err := set(v.Field(i), text); err != nil {
			return c, fmt.Errorf("read environment: %s=%q: %w", name, text, err)
		}
	}
	return c, nil
}

func set(v reflect.Value, text string) error {
	switch v.Interface().(type) {
	case string:
		v.SetString(text)
	case time.Duration:
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return err
		}
		v.SetInt(n * int64(time.Second))
	case int, int64:
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return err
		}
		v.SetInt(n)
	default:
		return fmt.Errorf("unsupported type %s", v.Type())
	}
	return nil
}

// AWS loads the task's credentials, region and endpoints.
func AWS() (aws.Config, error) { return config.LoadDefaultConfig(context.Background()) }
