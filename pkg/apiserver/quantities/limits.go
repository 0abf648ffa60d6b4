/*
Copyright 2026 The Jobserver Authors.

Licensed under the Apache License, Version 2.0 (the "License");
you may not use this file except in compliance with the License.
You may obtain a copy of the License at

    http://www.apache.org/licenses/LICENSE-2.0

Unless required by applicable law or agreed to in writing, software
distributed under the License is distributed on an "AS IS" BASIS,
WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
See the License for the specific language governing permissions and
limitations under the License.
*/

package quantities

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"k8s.io/apimachinery/pkg/util/validation/field"
)

const (
	// maxExponent bounds the power of ten of a quantity, in both directions. The largest quantity that Kubernetes promises to keep is 2^63-1.
	maxExponent = 100

	// maxDigits bounds the digits before the exponent.
	maxDigits = 100

	// maxShown bounds how much of a refused quantity an error shows, in bytes.
	maxShown = 64
)

// check returns an error about a quantity that is out of bounds. What is no quantity at all is not its business: reading it fails soon enough.
func check(path *field.Path, text string) *field.Error {
	text = strings.TrimSpace(text)
	mantissa, exponent, _ := strings.Cut(strings.TrimLeft(strings.ToLower(text), "+-"), "e")
	if len(mantissa) <= maxDigits && !exceeds(exponent) {
		return nil
	}
	if strings.Trim(mantissa, "0123456789.") != "" && len(mantissa) <= maxDigits {
		return nil
	}
	return field.Invalid(path, shorten(text), fmt.Sprintf("must be a quantity of at most %d digits, with an exponent between -%d and %d",
		maxDigits, maxExponent, maxExponent))
}

// exceeds says whether an exponent in digits, without its letter, is out of bounds.
func exceeds(exponent string) bool {
	digits := strings.TrimLeft(strings.TrimLeft(exponent, "+-"), "0")
	value, err := strconv.Atoi(digits)
	if err != nil {
		// Either it has too many digits for an integer, or it is no exponent.
		return digits != "" && strings.Trim(digits, "0123456789") == ""
	}
	return value > maxExponent
}

func shorten(text string) string {
	if len(text) <= maxShown {
		return text
	}
	end := maxShown
	for end > 0 && !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + "..."
}

// mayExceed says whether data may have a quantity out of bounds in it, as it stands: an exponent of three digits or more behind a number, or a very
// long number. It errs on the side of caution.
func mayExceed(data []byte) bool {
	digits := 0 // how many there are in a row up to here, with dots
	for i, c := range data {
		if isDigit(c) || c == '.' {
			if digits++; digits > maxDigits {
				return true
			}
			continue
		}
		if digits > 0 && (c == 'e' || c == 'E') && longExponent(data[i+1:]) {
			return true
		}
		digits = 0
	}
	return false
}

func longExponent(data []byte) bool {
	if len(data) > 0 && (data[0] == '-' || data[0] == '+') {
		data = data[1:]
	}
	return len(data) >= 3 && isDigit(data[0]) && isDigit(data[1]) && isDigit(data[2])
}

func isDigit(c byte) bool {
	return '0' <= c && c <= '9'
}

// mayHide says whether text, JSON or YAML, has anything in it that could write a digit in another way: an escape, a tag of YAML (binary data
// is text in base64), or an encoding other than UTF-8.
func mayHide(text []byte) bool {
	if bytes.IndexByte(text, '!') >= 0 || bytes.IndexByte(text, 0) >= 0 {
		return true
	}
	for rest := text; ; {
		i := bytes.IndexByte(rest, '\\')
		if i < 0 || i+1 == len(rest) {
			return false
		}
		switch rest[i+1] {
		case 'u', 'U', 'x', '\n', '\r':
			return true
		}
		rest = rest[i+2:]
	}
}
