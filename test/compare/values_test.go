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

package compare

import (
	"math"
	"math/rand/v2"
	"reflect"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// interestingNumbers lie at and beside the limits that rules have.
var interestingNumbers = []int64{
	0, 0, 1, 1, 2, 3, 4, 5, 6, 10, 20, 30, 63, 100, 255, 256, 9_999, 10_000, 10_001, 65_535, 65_536, 99_999, 100_000, 100_001,
	math.MaxInt32 - 1, math.MaxInt32, -1, -2, math.MinInt32,
}

// interestingStrings are names, labels, index lists and conditions of all sorts, valid and not.
var interestingStrings = []string{
	"", "a", "b", "main", "side", "first", "app", "mine", "zone", "A", "-a", "a-", "a b", "a.b", "a_b", "a/b", "ä", "é/ü",
	"example.com/a", "example.com/other", "example.com/", "/a", "a/b/c", "kubernetes.io/job-controller", "Example.com/a",
	"0", "1", "0-2", "0,2-4", "1-3,5", "4-2", "2-2", "3,1", "1,1", "1-", "-1", "1-2-3", "x", "1,x", ",", "0-99999", "99999", "100000", "0-4,4", " 1",
	"True", "False", "Unknown", "true", "Always", "OnFailure", "Never", "Ignore", "Count", "In", "NotIn", "Exists", "Indexed", "NonIndexed",
	"10.0.0.1", "010.0.0.1", "::1", "::ffff:1.2.3.4", "/path", "../path", "path/../x", "/", "http", "HTTPS", "TCP", "orphan", "foregroundDeletion", "kubernetes",
	"beta.kubernetes.io/os", "failure-domain.beta.kubernetes.io/zone", "kubernetes.io/hostname", "scheduler.alpha.kubernetes.io/critical-pod",
	batchv1.JobNameLabel, batchv1.ControllerUidLabel, "job-name", "controller-uid", jobName, string(jobUID), "other",
	strings.Repeat("n", 50), strings.Repeat("n", 61), strings.Repeat("n", 63), strings.Repeat("n", 64), "m." + strings.Repeat("n", 62), strings.Repeat("n.", 130),
	"example.com/" + strings.Repeat("n", 51), "example.com/" + strings.Repeat("n", 52), strings.Repeat("1,", 33_000),
}

// namedStrings are the values of string types that have few, and one that is none of them.
var namedStrings = map[reflect.Type][]string{
	typeOf[batchv1.CompletionMode]():                      {"Indexed", "NonIndexed", "", "indexed"},
	typeOf[batchv1.PodReplacementPolicy]():                {"Failed", "TerminatingOrFailed", "", "Never"},
	typeOf[batchv1.PodFailurePolicyAction]():              {"FailJob", "FailIndex", "Ignore", "Count", "", "Retry"},
	typeOf[batchv1.PodFailurePolicyOnExitCodesOperator](): {"In", "NotIn", "", "Exists"},
	typeOf[batchv1.JobConditionType]():                    {"Complete", "Failed", "Suspended", "FailureTarget", "SuccessCriteriaMet", "Custom", ""},
	typeOf[corev1.ConditionStatus]():                      {"True", "True", "False", "Unknown", "", "true"},
	typeOf[corev1.RestartPolicy]():                        {"Never", "OnFailure", "Always", "", "Sometimes"},
	typeOf[corev1.PodConditionType]():                     {"DisruptionTarget", "Ready", "example.com/mine", "", "a b"},
	typeOf[types.UID]():                                   {"", "a", "b", "c", "d", string(jobUID)},
	typeOf[corev1.TaintEffect]():                          {"NoSchedule", "PreferNoSchedule", "NoExecute", "", "No"},
	typeOf[corev1.TolerationOperator]():                   {"Exists", "Equal", "", "Gt"},
	typeOf[corev1.PullPolicy]():                           {"Always", "Never", "IfNotPresent", "", "Soon"},
	typeOf[corev1.Protocol]():                             {"TCP", "UDP", "SCTP", "", "tcp"},
	typeOf[metav1.LabelSelectorOperator]():                {"In", "NotIn", "Exists", "DoesNotExist", "", "Gt"},
}

var quantities = []string{"0", "1", "100m", "1500u", "64Mi", "1.5Gi", "-1", "1e3", "0.5"}

func typeOf[T any]() reflect.Type {
	return reflect.TypeFor[T]()
}

func pick[T any](random *rand.Rand, from []T) T {
	return from[random.IntN(len(from))]
}

// fillOpaque sets values of the types that are one value to an author, whatever they are made of; false for any other type.
func fillOpaque(random *rand.Rand, value reflect.Value) bool {
	switch target := value.Addr().Interface().(type) {
	case *metav1.Time:
		*target = pick(random, []metav1.Time{{}, at(0), at(1), at(2), at(5), at(10), at(-random.IntN(1_000_000)), metav1.NewTime(epoch.Add(time.Hour).Local())})
	case *resource.Quantity:
		*target = resource.MustParse(pick(random, quantities))
	case *intstr.IntOrString:
		if *target = intstr.FromInt32(int32(pick(random, interestingNumbers))); random.IntN(2) == 0 {
			*target = intstr.FromString(pick(random, []string{"web", "", "80", "-", "A", strings.Repeat("w", 16)}))
		}
	case *metav1.FieldsV1:
		// Only managed fields have these, and they are untouched.
	default:
		return false
	}
	return true
}

// fill sets value, and all below it, to something random. Deeper pointers are more often nil.
func fill(random *rand.Rand, value reflect.Value, depth int) {
	if fillOpaque(random, value) {
		return
	}
	switch value.Kind() {
	case reflect.Pointer:
		value.SetZero()
		if random.IntN(3+depth) < 2 {
			value.Set(reflect.New(value.Type().Elem()))
			fill(random, value.Elem(), depth+1)
		}
	case reflect.Struct:
		for i := range value.NumField() {
			if value.Type().Field(i).IsExported() {
				fill(random, value.Field(i), depth+1)
			}
		}
	case reflect.Slice:
		count := random.IntN(3) * 2 / (2 + depth/3)
		value.Set(reflect.MakeSlice(value.Type(), count, count))
		for i := range count {
			fill(random, value.Index(i), depth+1)
		}
	case reflect.Map:
		value.Set(reflect.MakeMap(value.Type()))
		for range random.IntN(3) {
			setRandomEntry(random, value)
		}
	default:
		fillScalar(random, value)
	}
}

func setRandomEntry(random *rand.Rand, value reflect.Value) {
	key, element := reflect.New(value.Type().Key()).Elem(), reflect.New(value.Type().Elem()).Elem()
	fill(random, key, 1)
	fill(random, element, 1)
	value.SetMapIndex(key, element)
}

func fillScalar(random *rand.Rand, value reflect.Value) {
	switch value.Kind() {
	case reflect.String:
		if named, ok := namedStrings[value.Type()]; ok {
			value.SetString(pick(random, named))
		} else {
			value.SetString(pick(random, interestingStrings))
		}
	case reflect.Bool:
		value.SetBool(random.IntN(2) == 0)
	case reflect.Int32, reflect.Int64, reflect.Int:
		number := pick(random, interestingNumbers)
		if value.OverflowInt(number) {
			number = 1
		}
		value.SetInt(number)
	case reflect.Uint8:
		value.SetUint(uint64(random.IntN(256)))
	}
}
