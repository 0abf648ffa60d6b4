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

// Package fuzzer makes random Jobs for tests of encoding, conversion and defaulting. They are whatever a decoder could return: defaulted, but
// with numbers and strings that validation may well refuse.
package fuzzer

import (
	"math"
	"reflect"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	runtimeserializer "k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/randfill"

	"github.com/jobserver-dev/jobserver/pkg/apis/batch"
	"github.com/jobserver-dev/jobserver/pkg/apis/batch/podtemplate"
)

// Funcs fill hub objects as decoded from our own group: with its policies. Use them together with the functions of
// k8s.io/apimachinery/pkg/apis/meta/fuzzer.
func Funcs(runtimeserializer.CodecFactory) []any {
	return funcs(fillPolicies)
}

// KubeFuncs fill hub objects as decoded from batch/v1, which has no fields for our policies: they stay nil.
func KubeFuncs(runtimeserializer.CodecFactory) []any {
	return funcs(clearPolicies)
}

func funcs(policies func(*batch.JobSpec, randfill.Continue)) []any {
	return []any{
		fillJob,
		func(spec *batch.JobSpec, c randfill.Continue) {
			fillSpec(spec, c)
			policies(spec, c)
		},
		fillConditionPattern,
		fillTemplate,
		fillVolumeSource,
		fillIntOrString,
		fillTime,
	}
}

func fillJob(job *batch.Job, c randfill.Continue) {
	c.FillNoCustom(job)
	if len(job.Labels) == 0 {
		job.Labels = job.Spec.Template.Labels // as the defaults do
	}
}

// fillSpec sets every field that has a default.
func fillSpec(spec *batch.JobSpec, c randfill.Continue) {
	c.FillNoCustom(spec)
	spec.Parallelism = new(c.Int31())
	spec.BackoffLimit = new(oneOf(c, c.Int31(), math.MaxInt32))
	spec.ManualSelector = new(c.Bool())
	spec.Suspend = new(c.Bool())
	spec.CompletionMode = new(oneOf(c, batch.NonIndexedCompletion, batch.IndexedCompletion))
	spec.PodReplacementPolicy = new(oneOf(c, batch.TerminatingOrFailed, batch.Failed))
	if c.Bool() {
		spec.Completions = nil
	} else {
		spec.Completions = new(c.Int31())
	}
}

func fillPolicies(spec *batch.JobSpec, c randfill.Continue) {
	spec.DisruptionPolicy = new(oneOf(c, batch.DisruptionIgnore, batch.DisruptionCount))
	spec.SuspendPolicy = new(oneOf(c, batch.SuspendKeepPods, batch.SuspendDeletePods))
	spec.WorkQueuePolicy = nil
	if spec.Completions == nil {
		spec.WorkQueuePolicy = new(oneOf(c, batch.WorkQueueRunUntilDeleted, batch.WorkQueueCompleteOnFirstSuccess))
	}
}

func clearPolicies(spec *batch.JobSpec, _ randfill.Continue) {
	spec.DisruptionPolicy, spec.SuspendPolicy, spec.WorkQueuePolicy = nil, nil, nil
}

func fillConditionPattern(pattern *batch.PodFailurePolicyOnPodConditionsPattern, c randfill.Continue) {
	c.FillNoCustom(pattern)
	pattern.Status = oneOf(c, corev1.ConditionTrue, corev1.ConditionFalse, corev1.ConditionUnknown)
}

func fillTemplate(template *corev1.PodTemplateSpec, c randfill.Continue) {
	c.FillNoCustom(template)
	podtemplate.SetDefaults(template)
}

// fillVolumeSource sets one member of the union, with whatever is in it.
func fillVolumeSource(source *corev1.VolumeSource, c randfill.Continue) {
	members := reflect.ValueOf(source).Elem()
	member := members.Field(c.Intn(members.NumField()))
	member.Set(reflect.New(member.Type().Elem()))
	c.Fill(member.Interface())
}

// fillIntOrString keeps to the two types that there are; the other member is not encoded.
func fillIntOrString(value *intstr.IntOrString, c randfill.Continue) {
	*value = oneOf(c, intstr.FromInt32(c.Int31()), intstr.FromString(c.String(0)))
}

// fillTime fills optional times, which would all stay nil: metav1.Time has a way of its own to be filled, and that skips nil pointers.
func fillTime(optional **metav1.Time, c randfill.Continue) {
	*optional = nil
	if c.Bool() {
		*optional = &metav1.Time{}
		c.Fill(*optional)
	}
}

func oneOf[T any](c randfill.Continue, values ...T) T {
	return values[c.Intn(len(values))]
}
