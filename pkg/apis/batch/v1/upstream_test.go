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

package v1_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"

	"github.com/jobserver-dev/jobserver/pkg/apis/batch"
	v1 "github.com/jobserver-dev/jobserver/pkg/apis/batch/v1"
)

// firstOwnNumber is where the protobuf numbers of our own fields start; upstream's are far below.
const firstOwnNumber = 100

// typePairs are all message types of this package with their models upstream.
var typePairs = []struct{ ours, upstream any }{
	{v1.Job{}, batchv1.Job{}},
	{v1.JobList{}, batchv1.JobList{}},
	{v1.JobSpec{}, batchv1.JobSpec{}},
	{v1.JobStatus{}, batchv1.JobStatus{}},
	{v1.JobCondition{}, batchv1.JobCondition{}},
	{v1.UncountedTerminatedPods{}, batchv1.UncountedTerminatedPods{}},
	{v1.PodFailurePolicy{}, batchv1.PodFailurePolicy{}},
	{v1.PodFailurePolicyRule{}, batchv1.PodFailurePolicyRule{}},
	{v1.PodFailurePolicyOnExitCodesRequirement{}, batchv1.PodFailurePolicyOnExitCodesRequirement{}},
	{v1.PodFailurePolicyOnPodConditionsPattern{}, batchv1.PodFailurePolicyOnPodConditionsPattern{}},
	{v1.SuccessPolicy{}, batchv1.SuccessPolicy{}},
	{v1.SuccessPolicyRule{}, batchv1.SuccessPolicyRule{}},
}

// ownFields are the fields that upstream does not have, leftOut those of upstream that we do not have, as <type>.<field>.
var (
	ownFields = []string{"JobSpec.DisruptionPolicy", "JobSpec.SuspendPolicy", "JobSpec.WorkQueuePolicy"}
	leftOut   = []string{"JobSpec.Scheduling"}
)

// TestTags compares the wire names and numbers of each field: those of upstream's fields never change, ours stay out of their way.
func TestTags(t *testing.T) {
	t.Parallel()
	var own, missing []string
	for _, pair := range typePairs {
		ours, upstream := reflect.TypeOf(pair.ours), reflect.TypeOf(pair.upstream)
		for field := range ours.Fields() {
			name := ours.Name() + "." + field.Name
			model, found := upstream.FieldByName(field.Name)
			if !found {
				own = append(own, name)
				if number := protobufNumber(t, field); number < firstOwnNumber {
					t.Errorf("%s has the protobuf number %d, below %d", name, number, firstOwnNumber)
				}
				continue
			}
			if field.Tag != model.Tag {
				t.Errorf("%s has the tags %s, upstream %s", name, field.Tag, model.Tag)
			}
			if ours, theirs := shape(field.Type), shape(model.Type); ours != theirs {
				t.Errorf("%s is a %s, upstream a %s", name, ours, theirs)
			}
		}
		for field := range upstream.Fields() {
			if _, found := ours.FieldByName(field.Name); !found {
				missing = append(missing, upstream.Name()+"."+field.Name)
			}
		}
	}
	if diff := cmp.Diff(ownFields, own); diff != "" {
		t.Errorf("own fields differ (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(leftOut, missing); diff != "" {
		t.Errorf("fields left out differ (-want +got):\n%s", diff)
	}
}

func protobufNumber(t *testing.T, field reflect.StructField) int {
	t.Helper()
	parts := strings.Split(field.Tag.Get("protobuf"), ",")
	if len(parts) < 2 {
		t.Fatalf("%s has no protobuf number", field.Name)
	}
	number, err := strconv.Atoi(parts[1])
	if err != nil {
		t.Fatalf("%s: %v", field.Name, err)
	}
	return number
}

// shape writes a type without the path of its package, which is what differs.
func shape(t reflect.Type) string {
	return regexp.MustCompile(`\b(batchv1|v1)\.`).ReplaceAllString(t.String(), "")
}

// TestConstants compares the values that are written into objects.
func TestConstants(t *testing.T) {
	t.Parallel()
	for _, pair := range [][3]string{
		{string(v1.NonIndexedCompletion), string(batchv1.NonIndexedCompletion), string(batch.NonIndexedCompletion)},
		{string(v1.IndexedCompletion), string(batchv1.IndexedCompletion), string(batch.IndexedCompletion)},
		{string(v1.TerminatingOrFailed), string(batchv1.TerminatingOrFailed), string(batch.TerminatingOrFailed)},
		{string(v1.Failed), string(batchv1.Failed), string(batch.Failed)},
		{string(v1.PodFailurePolicyActionFailJob), string(batchv1.PodFailurePolicyActionFailJob), string(batch.PodFailurePolicyActionFailJob)},
		{string(v1.PodFailurePolicyActionFailIndex), string(batchv1.PodFailurePolicyActionFailIndex), string(batch.PodFailurePolicyActionFailIndex)},
		{string(v1.PodFailurePolicyActionIgnore), string(batchv1.PodFailurePolicyActionIgnore), string(batch.PodFailurePolicyActionIgnore)},
		{string(v1.PodFailurePolicyActionCount), string(batchv1.PodFailurePolicyActionCount), string(batch.PodFailurePolicyActionCount)},
		{string(v1.PodFailurePolicyOnExitCodesOpIn), string(batchv1.PodFailurePolicyOnExitCodesOpIn), string(batch.PodFailurePolicyOnExitCodesOpIn)},
		{string(v1.PodFailurePolicyOnExitCodesOpNotIn), string(batchv1.PodFailurePolicyOnExitCodesOpNotIn), string(batch.PodFailurePolicyOnExitCodesOpNotIn)},
		{string(v1.JobSuspended), string(batchv1.JobSuspended), string(batch.JobSuspended)},
		{string(v1.JobComplete), string(batchv1.JobComplete), string(batch.JobComplete)},
		{string(v1.JobFailed), string(batchv1.JobFailed), string(batch.JobFailed)},
		{string(v1.JobFailureTarget), string(batchv1.JobFailureTarget), string(batch.JobFailureTarget)},
		{string(v1.JobSuccessCriteriaMet), string(batchv1.JobSuccessCriteriaMet), string(batch.JobSuccessCriteriaMet)},
		{batch.JobNameLabel, batchv1.JobNameLabel, batchv1.JobNameLabel},
		{batch.ControllerUIDLabel, batchv1.ControllerUidLabel, batchv1.ControllerUidLabel},
		{batch.JobCompletionIndexAnnotation, batchv1.JobCompletionIndexAnnotation, batchv1.JobCompletionIndexAnnotation},
		{batch.JobIndexFailureCountAnnotation, batchv1.JobIndexFailureCountAnnotation, batchv1.JobIndexFailureCountAnnotation},
		{batch.JobIndexIgnoredFailureCountAnnotation, batchv1.JobIndexIgnoredFailureCountAnnotation, batchv1.JobIndexIgnoredFailureCountAnnotation},
		{batch.KubeTrackingFinalizer, batchv1.JobTrackingFinalizer, batchv1.JobTrackingFinalizer},
		{batch.JobControllerName, batchv1.JobControllerName, batchv1.JobControllerName},
		{batch.ReasonPodFailurePolicy, batchv1.JobReasonPodFailurePolicy, batchv1.JobReasonPodFailurePolicy},
		{batch.ReasonBackoffLimitExceeded, batchv1.JobReasonBackoffLimitExceeded, batchv1.JobReasonBackoffLimitExceeded},
		{batch.ReasonDeadlineExceeded, batchv1.JobReasonDeadlineExceeded, batchv1.JobReasonDeadlineExceeded},
		{batch.ReasonMaxFailedIndexesExceeded, batchv1.JobReasonMaxFailedIndexesExceeded, batchv1.JobReasonMaxFailedIndexesExceeded},
		{batch.ReasonFailedIndexes, batchv1.JobReasonFailedIndexes, batchv1.JobReasonFailedIndexes},
		{batch.ReasonSuccessPolicy, batchv1.JobReasonSuccessPolicy, batchv1.JobReasonSuccessPolicy},
		{batch.ReasonCompletionsReached, batchv1.JobReasonCompletionsReached, batchv1.JobReasonCompletionsReached},
	} {
		if pair[0] != pair[1] || pair[1] != pair[2] {
			t.Errorf("values differ: %q", pair)
		}
	}
}

// TestMarkers compares what generators and server-side apply read from the comments: which lists are sets, maps or atomic, and what is optional.
func TestMarkers(t *testing.T) {
	t.Parallel()
	output, err := exec.Command("go", "list", "-f", "{{.Dir}}", "k8s.io/api/batch/v1").Output()
	if err != nil {
		t.Fatalf("finding upstream's source: %v", err)
	}
	ours := docs(t, "types.go")
	upstream := docs(t, filepath.Join(strings.TrimSpace(string(output)), "types.go"))
	for name, doc := range ours {
		theirs, shared := upstream[name]
		if !shared || !strings.Contains(name, ".") {
			continue
		}
		if strings.Contains(jsonTag(t, name), ",omitempty") {
			// It is optional with or without the marker, and upstream forgot one.
			theirs, doc = strings.ReplaceAll(theirs, "+optional", ""), strings.ReplaceAll(doc, "+optional", "")
		}
		if diff := cmp.Diff(markers(theirs), markers(doc)); diff != "" {
			t.Errorf("markers of %s differ (-upstream +ours):\n%s", name, diff)
		}
	}
}

// markers returns the markers of a comment that mean the same in every API, sorted.
func markers(doc string) []string {
	var found []string
	for line := range strings.Lines(doc) {
		line = strings.TrimSpace(line)
		for _, marker := range []string{"+optional", "+listType", "+listMapKey", "+mapType", "+structType", "+patchStrategy", "+patchMergeKey", "+nullable"} {
			if strings.HasPrefix(line, marker) {
				found = append(found, line)
			}
		}
	}
	slices.Sort(found)
	return found
}

// TestDocs wants a comment on every type and field, of this package and of the hub: kubectl explain shows those of this package, where each
// begins with the field's name as users write it.
func TestDocs(t *testing.T) {
	t.Parallel()
	spoke := docs(t, "types.go")
	for name, doc := range spoke {
		first := name
		if strings.Contains(name, ".") {
			first, _, _ = strings.Cut(jsonTag(t, name), ",")
		}
		if first != "" && !strings.HasPrefix(doc, first+" ") {
			t.Errorf("the comment of %s does not begin with %q: %q", name, first, doc)
		}
	}
	hub := docs(t, "../types.go")
	for name, doc := range hub {
		_, field, isField := strings.Cut(name, ".")
		if !isField {
			field = name
		}
		if !strings.HasPrefix(doc, field+" ") {
			t.Errorf("the comment of the hub's %s does not begin with %q: %q", name, field, doc)
		}
		if _, found := spoke[name]; !found {
			t.Errorf("the hub's %s is not in v1", name)
		}
	}
	for name := range spoke {
		if _, found := hub[name]; !found {
			t.Errorf("%s is not in the hub", name)
		}
	}
}

// jsonTag returns the JSON tag of a field, given as <type>.<field>, of one of typePairs.
func jsonTag(t *testing.T, name string) string {
	t.Helper()
	owner, field, _ := strings.Cut(name, ".")
	for _, pair := range typePairs {
		if ours := reflect.TypeOf(pair.ours); ours.Name() == owner {
			found, _ := ours.FieldByName(field)
			return found.Tag.Get("json")
		}
	}
	t.Fatalf("%s is not compared with a type of upstream's", owner)
	return ""
}

// docs returns the comments of all types and fields of a Go file, by <type> and <type>.<field>. TypeMeta is left out: it is inlined.
func docs(t *testing.T, path string) map[string]string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for _, declaration := range file.Decls {
		general, ok := declaration.(*ast.GenDecl)
		if !ok || general.Tok != token.TYPE {
			continue
		}
		for _, spec := range general.Specs {
			name := spec.(*ast.TypeSpec).Name.Name
			found[name] = general.Doc.Text()
			structure, ok := spec.(*ast.TypeSpec).Type.(*ast.StructType)
			if !ok {
				continue
			}
			for _, field := range structure.Fields.List {
				if fieldName := nameOf(field); fieldName != "TypeMeta" {
					found[name+"."+fieldName] = field.Doc.Text()
				}
			}
		}
	}
	return found
}

// nameOf returns the name of a field, of an embedded one that of its type.
func nameOf(field *ast.Field) string {
	if len(field.Names) > 0 {
		return field.Names[0].Name
	}
	return field.Type.(*ast.SelectorExpr).Sel.Name
}
