package main

import (
	"crypto/rand"
	"fmt"
	"os"
	"runtime"
	"strings"
	"syscall"
	"time"
)

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func draw() []byte {
	random := make([]byte, 8)
	_, err := rand.Read(random)
	must(err)
	return random
}

func modified(path string) int64 {
	info, err := os.Stat(path)
	must(err)
	return info.ModTime().Unix()
}

func main() {
	date := time.Now().Unix()
	must(os.WriteFile("/build/new", []byte("x\n"), 0o644))
	directory, err := os.Open("/inputs")
	must(err)
	order, err := directory.Readdirnames(-1)
	must(err)
	name, err := os.Hostname()
	must(err)
	release, err := os.ReadFile("/proc/sys/kernel/osrelease")
	must(err)
	// On threads of its own choice, and on others.
	random := draw()
	for range 8 {
		drawn := make(chan []byte)
		go func() {
			runtime.LockOSThread()
			drawn <- draw()
			select {}
		}()
		random = append(random, <-drawn...)
	}
	var space syscall.Statfs_t
	must(syscall.Statfs("/build", &space))
	fmt.Printf("date=%d\n", date)
	fmt.Printf("written=%d\n", modified("/build/new"))
	fmt.Printf("input=%d\n", modified("/inputs/a"))
	fmt.Printf("processors=%d\n", runtime.NumCPU())
	fmt.Printf("name=%s\n", name)
	fmt.Printf("release=%s", release)
	fmt.Printf("process=%d\n", os.Getpid())
	fmt.Printf("order=%s\n", strings.Join(order, " "))
	fmt.Printf("random=%x\n", random)
	fmt.Printf("space=%d of %d\n", space.Bavail, space.Blocks)
	fmt.Printf("user=%d\n", os.Getuid())
	before := time.Now()
	time.Sleep(250 * time.Millisecond)
	slept := time.Since(before)
	fmt.Printf("slept=%t\n", slept >= 250*time.Millisecond && slept < 500*time.Millisecond)
}
