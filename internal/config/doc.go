// Package config turns flags, environment and a TOML file into the Options that the packages declare.
//
// A Set holds the settings of one command, each bound to a field. A setting has one name and is found in three places; the
// first that has it wins:
//
//	flag          --msg-timeout=90s    (one dash or two, as the flag package reads them)
//	environment   WEIR_MSG_TIMEOUT=90s
//	TOML file     msg_timeout = "90s"  (the file that --config or WEIR_CONFIG names)
//	default       what the bound field held when the setting was defined
//
// So a default is written once, in the package that owns the field. Everything that cannot be used is an error of one line
// that says where the value stands and what is accepted there (UsageError): unknown flags, unknown keys of the file, values out
// of range. Unknown variables of the environment are not looked at, because Kubernetes puts WEIR_… variables of its own
// into the environment of every pod beside a service called weir.
//
// Serve and Nsqd define the settings of the two commands that run a node. Nothing here is used concurrently.
package config
