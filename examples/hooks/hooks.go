// Copyright (C) sync for nginx

// The hooks server, api and client: go run hooks.go PORT
package main

import (
	"encoding/json"
	"net/http"
	"os"
)

type object = map[string]any

func hook(w http.ResponseWriter, r *http.Request) {
	var q struct {
		Event, ClientId    string
		Data, ServerOutput object
		Recipients         []object
	}
	json.NewDecoder(r.Body).Decode(&q)
	w.Header().Set("Content-Type", "application/x-ndjson")
	lines := json.NewEncoder(w)
	switch q.Event {
	case "server":
		lines.Encode(object{"stream": object{"progress": 0.5}})
		w.(http.Flusher).Flush()
		lines.Encode(object{"final": object{"status": "success",
			"cardId": q.Data["cardId"], "movedBy": q.ClientId}})
	case "api":
		lines.Encode(object{"final": object{"status": "success", "echo": q.Data}})
	case "client":
		for _, r := range q.Recipients {
			lines.Encode(object{"k": r["k"], "out": object{"status": "success",
				"mine": r["clientId"] == q.ServerOutput["movedBy"]}})
		}
	}
}

func main() { http.ListenAndServe("127.0.0.1:"+os.Args[1], http.HandlerFunc(hook)) }
