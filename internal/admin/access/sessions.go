package access

import (
	"crypto/rand"
	"crypto/sha256"
	"sync"
	"time"
)

const (
	// maxSessions bounds the sessions; at the bound the one idle for longest goes.
	maxSessions = 10_000
	// sessionIdle is how long a session lasts without a request, sessionAge how long at all.
	sessionIdle = 12 * time.Hour
	sessionAge  = 7 * 24 * time.Hour
)

// sessions are who has logged in, by the hash of the cookie's value.
type sessions struct {
	mu struct {
		sync.Mutex
		byKey map[[sha256.Size]byte]*session
	}
}

type session struct {
	holder
	csrf       string
	begun, use time.Time
}

// begin makes a session and returns the value of its cookie.
func (s *sessions) begin(h holder, now time.Time) (cookie string, made session) {
	cookie = rand.Text() + rand.Text()
	made = session{holder: h, csrf: rand.Text(), begun: now, use: now}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.byKey == nil {
		s.mu.byKey = make(map[[sha256.Size]byte]*session)
	}
	if len(s.mu.byKey) >= maxSessions {
		s.makeRoomLocked(now)
	}
	kept := made
	s.mu.byKey[sha256.Sum256([]byte(cookie))] = &kept
	return cookie, made
}

// makeRoomLocked drops sessions that have ended, or else the one idle for longest.
func (s *sessions) makeRoomLocked(now time.Time) {
	var oldest [sha256.Size]byte
	var at time.Time
	for key, old := range s.mu.byKey {
		if old.ended(now) {
			delete(s.mu.byKey, key)
		} else if at.IsZero() || old.use.Before(at) {
			oldest, at = key, old.use
		}
	}
	if len(s.mu.byKey) >= maxSessions {
		delete(s.mu.byKey, oldest)
	}
}

func (s *session) ended(now time.Time) bool {
	return now.Sub(s.use) > sessionIdle || now.Sub(s.begun) > sessionAge
}

// find returns the session of a cookie.
func (s *sessions) find(cookie string, now time.Time) (session, bool) {
	key := sha256.Sum256([]byte(cookie))
	s.mu.Lock()
	defer s.mu.Unlock()
	found := s.mu.byKey[key]
	if found == nil {
		return session{}, false
	}
	if found.ended(now) {
		delete(s.mu.byKey, key)
		return session{}, false
	}
	found.use = now
	return *found, true
}

// end forgets a session.
func (s *sessions) end(cookie string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.mu.byKey, sha256.Sum256([]byte(cookie)))
}
