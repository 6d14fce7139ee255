// One process that is a whole control plane's storage and API: kube-apiserver
// with an etcd embedded in it. Every flag is kube-apiserver's own, except
// --docket-etcd-dir, which says where etcd keeps its data and is removed
// before kube-apiserver reads its flags.
//
// Called as kube-controller-manager (by the name of the executable) it is the
// controller manager of the same version, so that one build serves both.
package main

import (
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"go.etcd.io/etcd/server/v3/embed"
	"k8s.io/component-base/cli"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllermanager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
)

const etcdDirFlag = "--docket-etcd-dir="

func main() {
	if strings.HasSuffix(filepath.Base(os.Args[0]), "controller-manager") {
		os.Exit(cli.Run(controllermanager.NewControllerManagerCommand()))
	}
	dir, args := takeEtcdDir(os.Args[1:])
	if dir == "" {
		// Without a directory this is a plain kube-apiserver (--help, --version).
		os.Exit(cli.Run(apiserver.NewAPIServerCommand()))
	}
	endpoint, etcd, err := startEtcd(dir)
	if err != nil {
		fmt.Fprintln(os.Stderr, "embedded etcd:", err)
		os.Exit(1)
	}
	os.Args = append([]string{os.Args[0], "--etcd-servers=" + endpoint}, args...)
	code := cli.Run(apiserver.NewAPIServerCommand())
	etcd.Close()
	os.Exit(code)
}

func takeEtcdDir(args []string) (dir string, rest []string) {
	for _, arg := range args {
		if value, ok := strings.CutPrefix(arg, etcdDirFlag); ok {
			dir = value
			continue
		}
		rest = append(rest, arg)
	}
	return dir, rest
}

// startEtcd listens on free loopback ports. The ports are found by binding to
// port 0 and closing again; a race with another process shows as a start error.
func startEtcd(dir string) (string, *embed.Etcd, error) {
	client, err := freeURL()
	if err != nil {
		return "", nil, err
	}
	peer, err := freeURL()
	if err != nil {
		return "", nil, err
	}
	config := embed.NewConfig()
	config.Dir = dir
	config.LogLevel = "error"
	config.ListenClientUrls = []url.URL{client}
	config.AdvertiseClientUrls = []url.URL{client}
	config.ListenPeerUrls = []url.URL{peer}
	config.AdvertisePeerUrls = []url.URL{peer}
	config.InitialCluster = config.InitialClusterFromName(config.Name)
	// Tests kill this process and start it again; a machine crash is not tested.
	config.UnsafeNoFsync = true
	etcd, err := embed.StartEtcd(config)
	if err != nil {
		return "", nil, err
	}
	select {
	case <-etcd.Server.ReadyNotify():
		return client.String(), etcd, nil
	case err := <-etcd.Err():
		return "", nil, err
	case <-time.After(30 * time.Second):
		etcd.Close()
		return "", nil, fmt.Errorf("not ready after 30 s; see whether %s belongs to another run", dir)
	}
}

func freeURL() (url.URL, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return url.URL{}, err
	}
	defer listener.Close()
	return url.URL{Scheme: "http", Host: listener.Addr().String()}, nil
}
