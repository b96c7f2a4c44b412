package function

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/millrace/millrace/sql/types"
)

func urlFunctions() []*Function {
	const category = "URL"
	part := func(name, doc string, f func(*url.URL) (string, bool)) *Function {
		return fn(name, category, doc, over("url STRING", "STRING", func(a []types.Value) (types.Value, error) {
			u, err := parseURL(a[0].Str())
			if err != nil {
				return types.NullValue, err
			}
			if s, ok := f(u); ok {
				return types.NewString(s), nil
			}
			return types.NullValue, nil
		}))
	}
	return []*Function{
		part("URL_EXTRACT_FRAGMENT", "The decoded part behind #.", func(u *url.URL) (string, bool) { return u.Fragment, u.Fragment != "" }),
		part("URL_EXTRACT_HOST", "The host.", func(u *url.URL) (string, bool) { return u.Hostname(), u.Hostname() != "" }),
		part("URL_EXTRACT_PATH", "The decoded path with its leading slash.", func(u *url.URL) (string, bool) { return u.Path, u.Opaque == "" }),
		part("URL_EXTRACT_PROTOCOL", "The scheme.", func(u *url.URL) (string, bool) { return u.Scheme, u.Scheme != "" }),
		part("URL_EXTRACT_QUERY", "The decoded query.", query),
		fn("URL_EXTRACT_PORT", category, "The port, NULL without one.", over("url STRING", "INTEGER", func(a []types.Value) (types.Value, error) {
			u, err := parseURL(a[0].Str())
			if err != nil || u.Port() == "" {
				return types.NullValue, err
			}
			n, err := strconv.ParseInt(u.Port(), 10, 32)
			return types.NewInteger(int32(n)), err
		})),
		fn("URL_EXTRACT_PARAMETER", category, "The value of a query parameter, NULL when it is absent.", over("url STRING, name STRING", "STRING", urlParameter)),
		fn("URL_ENCODE_PARAM", category, "Encoded as a value of a form.", over("value STRING", "STRING", text(func(a []types.Value) string { return formEncode(a[0].Str()) }))),
		fn("URL_DECODE_PARAM", category, "Decoded from a value of a form.", over("value STRING", "STRING", func(a []types.Value) (types.Value, error) {
			s, err := url.QueryUnescape(a[0].Str())
			return types.NewString(s), err
		})),
	}
}

// parseURL rejects what RFC 2396 does not allow raw in a URI and Go's parser
// lets through.
func parseURL(s string) (*url.URL, error) {
	if i := strings.IndexAny(s, " \"<>\\^`{|}\t\r\n"); i >= 0 {
		return nil, fmt.Errorf("%q is not a URL: character %q", s, s[i])
	}
	u, err := url.Parse(s)
	if err != nil {
		return nil, fmt.Errorf("%q is not a URL", s)
	}
	return u, nil
}

// query decodes percent signs only: + stays.
func query(u *url.URL) (string, bool) {
	s, err := url.PathUnescape(u.RawQuery)
	if err != nil {
		return "", false
	}
	return s, u.RawQuery != ""
}

func urlParameter(a []types.Value) (types.Value, error) {
	u, err := parseURL(a[0].Str())
	if err != nil {
		return types.NullValue, err
	}
	q, ok := query(u)
	if !ok {
		return types.NullValue, nil
	}
	for _, pair := range strings.Split(q, "&") {
		if name, value, _ := strings.Cut(pair, "="); name == a[1].Str() {
			return types.NewString(value), nil
		}
	}
	return types.NullValue, nil
}

// formEncode leaves letters, digits and - _ . * as they are, writes a space as +
// and all else as %XX.
func formEncode(s string) string {
	return strings.NewReplacer("~", "%7E", "%2A", "*").Replace(url.QueryEscape(s))
}
