package server

import (
	"net/http"
	"strings"

	"github.com/millrace/millrace/engine"
	"github.com/millrace/millrace/planner/catalog"
	"github.com/millrace/millrace/sql"
	"github.com/millrace/millrace/sql/types"
)

// commandStatus is what became of a command.
type commandStatus struct {
	Message string  `json:"message"`
	QueryID *string `json:"queryId"`
	Status  string  `json:"status"`
}

// commandStatuses lists the commands that made what exists now, by id. Statements
// answer when they have taken effect, so each of them succeeded; commands that
// failed were never written, and those whose effect has gone are not listed.
func (s *Server) commandStatuses() map[string]commandStatus {
	out := map[string]commandStatus{}
	cat := s.engine.Catalog()
	for _, src := range cat.Sources() {
		if src.Name == engine.ProcessingLogStream && src.ReadOnly {
			continue
		}
		kind, st := "stream", commandStatus{Status: "SUCCESS", Message: "Stream created"}
		if src.Kind == catalog.Table {
			kind, st.Message = "table", "Table created"
		}
		if src.QueryID != "" && !src.ReadOnly {
			st.QueryID, st.Message = &src.QueryID, "Created query with ID "+src.QueryID
		}
		entity := kind + "/" + types.QuoteName(src.Name)
		out[entity+"/create"] = st
		if statements, _ := sql.Split(src.Text); len(statements) > 1 && src.QueryID == "" {
			st.Message = strings.TrimSuffix(st.Message, "created") + "altered"
			out[entity+"/alter"] = st
		}
	}
	for _, name := range cat.TypeNames() {
		out["type/"+types.QuoteName(name)+"/create"] = commandStatus{Status: "SUCCESS", Message: "Registered custom type with name '" + name + "'"}
	}
	return out
}

// statuses answers GET /status.
func (s *Server) statuses(w http.ResponseWriter, _ *http.Request) {
	out := map[string]string{}
	for id, st := range s.commandStatuses() {
		out[id] = st.Status
	}
	writeJSON(w, http.StatusOK, object{"commandStatuses": out})
}

// status answers GET /status/{type}/{entity}/{action}.
func (s *Server) status(w http.ResponseWriter, r *http.Request) {
	st, ok := s.commandStatuses()[r.PathValue("type")+"/"+r.PathValue("entity")+"/"+r.PathValue("action")]
	if !ok {
		writeError(w, http.StatusNotFound, errorBody{Type: "generic_error", Code: 40400, Message: "Command not found"})
		return
	}
	writeJSON(w, http.StatusOK, st)
}
