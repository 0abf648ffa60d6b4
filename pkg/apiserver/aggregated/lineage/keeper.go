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

package lineage

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"
)

const (
	// AcceptAnnotation on the ConfigMap accepts the data in etcd although the cluster has seen newer or other data. Its value is the token that the refusal names.
	AcceptAnnotation = "batch.jobserver.dev/accept-storage"

	// Keys of the ConfigMap: the mark; why data is refused, and the command that accepts it, for who looks.
	markKey    = "mark"
	refusedKey = "refused"
	acceptKey  = "accept"

	// checkPeriod is how often the mark is looked at, and markPeriod how often it is raised while there are writes: what was written within it before
	// a loss is not noticed to be missing.
	checkPeriod = 5 * time.Second
	markPeriod  = 10 * time.Second

	// acceptPeriod is how often a refused server looks whether it was accepted.
	acceptPeriod = 2 * time.Second

	// callTimeout bounds one call of etcd or the cluster.
	callTimeout = 10 * time.Second
)

// ErrRestored is why a running server has to end: the data under it was exchanged.
var ErrRestored = errors.New("the data in etcd was exchanged while the server ran")

// Config is what a Keeper is made of. All fields but Clock are required.
type Config struct {
	// Etcd is where the Jobs are, Key the key of the mark in it, and JobsPrefix that of the Jobs.
	Etcd            *clientv3.Client
	Key, JobsPrefix string
	// SightingsPrefix is what the keys of what is known of the namespaces of Jobs begin with.
	SightingsPrefix string
	// Decode reads a Job as it is stored.
	Decode func([]byte) (metav1.Object, error)
	// Cluster is the cluster, Namespace and Name are those of the ConfigMap in it.
	Cluster         kubernetes.Interface
	Namespace, Name string
	// Clock is the time. Default: the real one.
	Clock clock.PassiveClock
}

// Keeper compares and raises the marks.
type Keeper struct {
	config Config

	mu        sync.Mutex
	cluster   string // UID of kube-system; "" before the cluster was asked
	last      *Mark  // the last mark that was seen in etcd and found good
	published int64  // generation that the cluster has
}

// NewKeeper returns a Keeper.
func NewKeeper(config Config) (*Keeper, error) {
	if config.Etcd == nil || config.Key == "" || config.JobsPrefix == "" || config.SightingsPrefix == "" || config.Decode == nil || config.Cluster == nil || config.Namespace == "" || config.Name == "" {
		return nil, errors.New("lineage: Etcd, Key, JobsPrefix, SightingsPrefix, Decode, Cluster, Namespace and Name are required")
	}
	if config.Clock == nil {
		config.Clock = clock.RealClock{}
	}
	return &Keeper{config: config}, nil
}

// Refused is the error of data that nobody has accepted.
type Refused struct {
	verdict
	namespace, name string
}

// Error says what is wrong, and how to accept it.
func (r *Refused) Error() string {
	return fmt.Sprintf("%s. Nothing is served, since the cluster would delete the Pods of Jobs that are missing. Bring the right data back, "+
		"or accept this data (Pods of missing Jobs then live on without an owner): %s", r.refused, r.command())
}

// command is what accepts the data.
func (r *Refused) command() string {
	return fmt.Sprintf("kubectl annotate --overwrite configmap -n %s %s %s=%s", r.namespace, r.name, AcceptAnnotation, r.token)
}

// Check compares the marks once. Where they are good it leaves a mark in both places. The error is a *Refused where they are not.
func (k *Keeper) Check(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	cluster, err := k.clusterUID(ctx)
	if err != nil {
		return err
	}
	// The cluster's mark first: the one in etcd is raised before it, so it can't be behind in what is read after it.
	configMap, missing, err := k.readConfigMap(ctx)
	if err != nil {
		return err
	}
	inCluster, err := decode(configMap.Data[markKey])
	if err != nil {
		return fmt.Errorf("ConfigMap %s/%s: %w", k.config.Namespace, k.config.Name, err)
	}
	found, err := k.get(ctx)
	if err != nil {
		return err
	}
	judged := judge(found.mark, inCluster, cluster)
	switch {
	case judged.refused == "" && found.mark != nil && inCluster == nil:
		// Nobody can tell whether it was restored.
		if _, err := k.config.Etcd.Do(ctx, k.forgetSightings()); err != nil {
			return fmt.Errorf("forget the namespaces of Jobs: %w", err)
		}
		return k.publish(ctx, *found.mark)
	case judged.refused == "" && found.mark != nil:
		return k.publish(ctx, *found.mark)
	case judged.refused == "":
		made := first(cluster, k.config.Clock.Now())
		if err := k.writeEtcd(ctx, made, found.modified); err != nil {
			return err
		}
		return k.publish(ctx, made)
	case configMap.Annotations[AcceptAnnotation] == judged.token:
		klog.FromContext(ctx).Info("The data in etcd was accepted", "token", judged.token, "although", judged.refused)
		return k.accept(ctx, found, inCluster)
	}
	refused := &Refused{verdict: judged, namespace: k.config.Namespace, name: k.config.Name}
	return errors.Join(refused, k.tell(ctx, configMap, missing, refused))
}

// tell writes the refusal into the ConfigMap, where who looks for it finds it, and has something to annotate.
func (k *Keeper) tell(ctx context.Context, configMap *corev1.ConfigMap, missing bool, refused *Refused) error {
	if configMap.Data[refusedKey] == refused.refused && configMap.Data[acceptKey] == refused.command() {
		return nil
	}
	if configMap.Data == nil {
		configMap.Data = map[string]string{}
	}
	configMap.Data[refusedKey], configMap.Data[acceptKey] = refused.refused, refused.command()
	err := k.writeConfigMap(ctx, configMap, missing)
	if apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) {
		return nil // another replica has told it
	}
	return err
}

// accept lets go of the Pods whose Jobs are missing, and makes the data in etcd what the cluster knows.
func (k *Keeper) accept(ctx context.Context, found stored, inCluster *Mark) error {
	// This takes as long as it takes.
	if err := k.releasePods(context.WithoutCancel(ctx)); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), callTimeout)
	defer cancel()
	k.mu.Lock()
	accepted := first(k.cluster, k.config.Clock.Now())
	k.mu.Unlock()
	if found.mark != nil {
		accepted.Storage, accepted.Generation = found.mark.Storage, found.mark.Generation
	}
	if inCluster != nil {
		// Ahead of both: data of before the acceptance is refused again.
		accepted.Generation = max(accepted.Generation, inCluster.Generation)
	}
	accepted.Generation++
	if err := k.writeEtcd(ctx, accepted, found.modified, k.forgetSightings()); err != nil {
		return err
	}
	return k.publish(ctx, accepted)
}

// forgetSightings lets all Jobs be those of the namespaces that there are: who restores Jobs wants them in these, which may have been made again since.
func (k *Keeper) forgetSightings() clientv3.Op {
	return clientv3.OpDelete(k.config.SightingsPrefix, clientv3.WithPrefix())
}

func (k *Keeper) clusterUID(ctx context.Context) (string, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.cluster != "" {
		return k.cluster, nil
	}
	system, err := k.config.Cluster.CoreV1().Namespaces().Get(ctx, metav1.NamespaceSystem, metav1.GetOptions{})
	if err != nil {
		return "", fmt.Errorf("find out which cluster this is: %w", err)
	}
	k.cluster = string(system.UID)
	return k.cluster, nil
}

// readConfigMap returns an empty one where there is none, which missing tells.
func (k *Keeper) readConfigMap(ctx context.Context) (_ *corev1.ConfigMap, missing bool, _ error) {
	configMap, err := k.config.Cluster.CoreV1().ConfigMaps(k.config.Namespace).Get(ctx, k.config.Name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: k.config.Namespace, Name: k.config.Name}}, true, nil
	}
	return configMap, false, err
}

// publish sees that the cluster has a mark that stands in etcd, or a later one of the same data.
func (k *Keeper) publish(ctx context.Context, mark Mark) error {
	encoded, err := mark.encode()
	if err != nil {
		return err
	}
	for range maxAttempts {
		if err = k.publishOnce(ctx, mark, encoded); !apierrors.IsConflict(err) && !apierrors.IsAlreadyExists(err) {
			break
		}
	}
	if err != nil {
		return fmt.Errorf("write the mark into ConfigMap %s/%s: %w", k.config.Namespace, k.config.Name, err)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.last, k.published = &mark, mark.Generation
	return nil
}

func (k *Keeper) publishOnce(ctx context.Context, mark Mark, encoded string) error {
	configMap, missing, err := k.readConfigMap(ctx)
	if err != nil {
		return err
	}
	if have, err := decode(configMap.Data[markKey]); err == nil && have != nil && have.Storage == mark.Storage && have.Generation >= mark.Generation && configMap.Data[refusedKey] == "" {
		return nil
	}
	if configMap.Data == nil {
		configMap.Data = map[string]string{}
	}
	configMap.Data[markKey] = encoded
	delete(configMap.Data, refusedKey)
	delete(configMap.Data, acceptKey)
	delete(configMap.Annotations, AcceptAnnotation)
	return k.writeConfigMap(ctx, configMap, missing)
}

func (k *Keeper) writeConfigMap(ctx context.Context, configMap *corev1.ConfigMap, missing bool) (err error) {
	configMaps := k.config.Cluster.CoreV1().ConfigMaps(k.config.Namespace)
	if missing {
		_, err = configMaps.Create(ctx, configMap, metav1.CreateOptions{})
	} else {
		_, err = configMaps.Update(ctx, configMap, metav1.UpdateOptions{})
	}
	return err
}
