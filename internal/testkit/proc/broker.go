package proc

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// readyPatience is how long a node may take until /ping answers OK.
const readyPatience = 30 * time.Second

// ErrEnded says that the process ended before it was ready.
var ErrEnded = errors.New("the process ended before it was ready")

// Broker is a weir node on free ports of the loopback interface. Its runs are ended by Kill and Stop and begun by Start; data and
// addresses stay. One goroutine calls Start, Kill and Stop; the rest may be called from any while a run lasts.
type Broker struct {
	// Binary, Command, DataPath and Args (more flags) may be changed between runs. Command stands before the flags: nil is
	// serve; a stock nsqd has none, which is empty but not nil.
	Binary   string
	Command  []string
	DataPath string
	Args     []string
	Env      []string

	tcp, http string
	process   *Process
	logs      strings.Builder // output of the runs that have ended
}

// NewBroker chooses ports and starts nothing.
func NewBroker(binary, dataPath string, args ...string) (*Broker, error) {
	tcp, err := FreeAddress()
	if err != nil {
		return nil, err
	}
	http, err := FreeAddress()
	if err != nil {
		return nil, err
	}
	return &Broker{Binary: binary, DataPath: dataPath, Args: args, tcp: tcp, http: http}, nil
}

// Listen chooses other addresses, before the first Start.
func (b *Broker) Listen(tcp, http string) { b.tcp, b.http = tcp, http }

// TCP returns the address of the NSQ protocol.
func (b *Broker) TCP() string { return b.tcp }

// HTTP returns the address of the HTTP API, without scheme.
func (b *Broker) HTTP() string { return b.http }

// Start runs the node and waits until /ping answers OK. It returns how long that took.
func (b *Broker) Start() (time.Duration, error) {
	began := time.Now()
	if err := b.Launch(); err != nil {
		return 0, err
	}
	for time.Since(began) < readyPatience {
		if b.Ping() == nil {
			return time.Since(began), nil
		}
		select {
		case <-b.process.Done():
			return 0, fmt.Errorf("%w:\n%s", ErrEnded, b.process.Output())
		case <-time.After(2 * time.Millisecond):
		}
	}
	b.process.Kill()
	return 0, fmt.Errorf("not ready within %v:\n%s", readyPatience, b.process.Output())
}

// Launch begins a run and does not wait for anything: Kill may end it while it is still starting.
func (b *Broker) Launch() error {
	args := []string{"serve", "--discovery-tcp-address", "", "--admin-address", ""}
	if b.Command != nil {
		args = slices.Clone(b.Command)
	}
	args = append(args, "--data-path", b.DataPath, "--tcp-address", b.tcp, "--http-address", b.http)
	args = append(args, b.Args...)
	p, err := Start(Spec{Path: b.Binary, Args: args, Env: b.Env})
	if err != nil {
		return err
	}
	b.process = p
	return nil
}

var pingClient = &http.Client{Timeout: time.Second, Transport: &http.Transport{DisableKeepAlives: true}}

// Ping asks the node for its health; nil is OK.
func (b *Broker) Ping() error {
	resp, err := pingClient.Get("http://" + b.http + "/ping")
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 4096))
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK || string(text) != "OK" {
		return fmt.Errorf("ping: %s %q", resp.Status, text)
	}
	return nil
}

// Process returns the current run, nil before the first Start.
func (b *Broker) Process() *Process { return b.process }

// Kill ends the run with kill -9.
func (b *Broker) Kill() error {
	if b.process == nil {
		return nil
	}
	err := b.process.Kill()
	b.keepLog("killed")
	return err
}

// Stop ends the run with SIGTERM and waits for a clean exit.
func (b *Broker) Stop(patience time.Duration) error {
	err := b.process.Terminate(patience)
	b.keepLog("stopped")
	return err
}

// Freeze stops the node's threads with SIGSTOP until Thaw.
func (b *Broker) Freeze() error { return b.process.Signal(syscall.SIGSTOP) }

// Thaw lets a frozen node go on.
func (b *Broker) Thaw() error { return b.process.Signal(syscall.SIGCONT) }

func (b *Broker) keepLog(how string) {
	if b.logs.Len() < keepOutputBytes {
		fmt.Fprintf(&b.logs, "%s-- %s\n", b.process.Output(), how)
	}
}

// Log returns the output of all ended runs (bounded) and of the current one.
func (b *Broker) Log() string {
	log := b.logs.String()
	if b.process != nil {
		select {
		case <-b.process.Done():
		default:
			log += b.process.Output()
		}
	}
	return log
}

// DiskBytes returns how much disk the data directory takes, in blocks that are really allocated.
func (b *Broker) DiskBytes() (int64, error) {
	var sum int64
	err := filepath.WalkDir(b.DataPath, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		var st syscall.Stat_t
		if err := syscall.Lstat(path, &st); err != nil {
			return err
		}
		sum += st.Blocks * 512
		return nil
	})
	return sum, err
}
