package access

// Role is what somebody may do.
type Role string

// Roles. A reader sees everything but, unless allowed to, message bodies; an administrator may act.
const (
	Nobody Role = ""
	Read   Role = "read"
	Admin  Role = "admin"
)

// Who is somebody.
type Who struct {
	User   string // "" if nothing names him
	Role   Role
	Bodies bool // may see message bodies

	// CSRF is what a request that changes something must repeat, because a browser sends the cookie by itself; "" if there is none.
	CSRF string
}

// LoggedIn reports whether he is anybody at all.
func (w *Who) LoggedIn() bool { return w.Role != Nobody }

// Bodies says whose eyes message bodies are for.
type Bodies string

// Policies for message bodies.
const (
	BodiesAdmin Bodies = "admin" // administrators, and tokens of the role read+bodies
	BodiesAll   Bodies = "all"   // everybody who may see anything
	BodiesNone  Bodies = "none"  // nobody
)

// apply sets what the policy allows; granted is what the token says.
func (b Bodies) apply(w *Who, granted bool) {
	switch b {
	case BodiesAll:
		w.Bodies = w.LoggedIn()
	case BodiesNone:
		w.Bodies = false
	default:
		w.Bodies = w.Role == Admin || granted && w.LoggedIn()
	}
}
