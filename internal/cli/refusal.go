package cli

import (
	"cmp"
	"errors"
	"fmt"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
)

// refused is an error of a broker in the one form that every command prints: what
// was asked for, the reason, the code once, and what to do where that is known.
//
//	change the limits of user=a: foo is no limit (INVALID_REQUEST)
type refused struct {
	what, reason string
	code         *kerr.Error
	hint         string // instead of what the code's is
}

func (r *refused) Error() string {
	text := r.reason + " (" + r.code.Message + ")"
	if r.what != "" {
		text = r.what + ": " + text
	}
	if hint := cmp.Or(r.hint, refusalHints[r.code.Message]); hint != "" {
		text += ": " + hint
	}
	return text
}

func (r *refused) Unwrap() error { return r.code }

// refusalHints say what to do about a code.
var refusalHints = map[string]string{
	kerr.TopicAuthorizationFailed.Message:           "ask an administrator for a rule (`millrace acl add`)",
	kerr.GroupAuthorizationFailed.Message:           "ask an administrator for a rule (`millrace acl add --group`)",
	kerr.ClusterAuthorizationFailed.Message:         "ask an administrator for a rule (`millrace acl add --cluster`)",
	kerr.TransactionalIDAuthorizationFailed.Message: "ask an administrator for a rule (`millrace acl add --transactional-id`)",
	kerr.SecurityDisabled.Message:                   "start the server with a listener that asks for a login (`millrace server --help`), or with --authorize on",
	kerr.MessageTooLarge.Message:                    "the topic's max.message.bytes says how large records may be (`millrace topic describe`)",
	kerr.KafkaStorageError.Message:                  "its disk is full, or a file is damaged, which its log tells; `millrace log dump` finds damage",
}

// refusalReasons replace descriptions of codes that do not say what is wrong to
// who sits at a terminal.
var refusalReasons = map[string]string{
	kerr.InvalidRequest.Message:                     "the broker takes the request for invalid and does not say why",
	kerr.TopicAuthorizationFailed.Message:           "not allowed on the topic",
	kerr.GroupAuthorizationFailed.Message:           "not allowed on the group",
	kerr.ClusterAuthorizationFailed.Message:         "not allowed on the cluster",
	kerr.TransactionalIDAuthorizationFailed.Message: "not allowed on the transactional id",
	kerr.KafkaStorageError.Message:                  "the broker cannot read or write a file of the topic",
	kerr.SecurityDisabled.Message:                   "the broker checks no rules",
	kerr.MessageTooLarge.Message:                    "a record is larger than the topic takes",
	kerr.InvalidTopicException.Message:              "the name is not valid",
}

// refusal returns an error about what was asked for. detail is the broker's own
// text, which is preferred to what the code means in general. Errors that are not
// a broker's answer are only wrapped; a nil error stays nil.
func refusal(what string, err error, detail string) error {
	if err == nil {
		return nil
	}
	var code *kerr.Error
	if !errors.As(err, &code) {
		if what == "" {
			return err
		}
		return fmt.Errorf("%s: %w", what, err)
	}
	reason := refusalReason(what, code, detail)
	return &refused{what: what, reason: reason, code: code}
}

// refusalReason takes what stands elsewhere out of the broker's text: the code,
// its general meaning, what was asked for, and the names of packages. A broker of
// an older version repeats the first two.
func refusalReason(what string, code *kerr.Error, detail string) string {
	for before := ""; before != detail; {
		before = detail
		for _, prefix := range []string{code.Message, code.Description, what, "broker", "invalid request", "auth", "bad ACL", "quota"} {
			if rest, ok := strings.CutPrefix(detail, prefix); ok && prefix != "" && (rest == "" || rest[0] == ':') {
				detail = strings.TrimPrefix(strings.TrimPrefix(rest, ":"), " ")
			}
		}
	}
	if detail != "" {
		return detail
	}
	if reason := refusalReasons[code.Message]; reason != "" {
		return reason
	}
	return strings.TrimSuffix(code.Description, ".")
}
