package authlog

import "strings"

var (
	userAdded       = newClass("iam", "user,creation", "user_added", "success", "")
	userAddFailed   = newClass("iam", "user,creation", "user_added", "failure", "")
	userDeleted     = newClass("iam", "user,deletion", "user_deleted", "success", "")
	userChanged     = newClass("iam", "user,change", "user_changed", "success", "")
	passwordChanged = newClass("iam", "user,change", "password_changed", "success", "")
	groupAdded      = newClass("iam", "group,creation", "group_added", "success", "")
	groupDeleted    = newClass("iam", "group,deletion", "group_deleted", "success", "")
	groupChanged    = newClass("iam", "group,change", "group_changed", "success", "")
	memberAdded     = newClass("iam", "group,change", "group_member_added", "success", "")
	memberRemoved   = newClass("iam", "group,change", "group_member_removed", "success", "")
)

var accountMessages = index([]message{
	{"add '", memberAdded, (*entry).member},
	{"add `", memberAdded, (*entry).member},
	{"change user name ", userChanged, (*entry).quotedUser},
	{"change user ", userChanged, (*entry).quotedUser},
	{"changed user ", userChanged, (*entry).quotedUser},
	{"changed password expiry for ", userChanged, (*entry).targeted},
	{"changed group ", groupChanged, (*entry).quotedGroup},
	{"delete user ", userDeleted, (*entry).quotedUser},
	{"delete '", memberRemoved, (*entry).member},
	{"delete `", memberRemoved, (*entry).member},
	{"failed adding user ", userAddFailed, (*entry).quotedUser},
	{"group added to ", groupAdded, (*entry).addedTo},
	{"group changed in ", groupChanged, (*entry).changedIn},
	{"group '", groupDeleted, (*entry).quotedGroupFrom},
	{"group `", groupDeleted, (*entry).quotedGroupFrom},
	{"lock user ", userChanged, (*entry).quotedUser},
	{"new group: ", groupAdded, (*entry).attributes},
	{"new user: ", userAdded, (*entry).attributes},
	{"password changed for ", passwordChanged, (*entry).changedBy},
	{"password for ", passwordChanged, (*entry).passwordFor},
	{"remove group ", groupDeleted, (*entry).quotedGroup},
	{"removed group ", groupDeleted, (*entry).quotedGroup},
	{"removed shadow group ", groupDeleted, (*entry).quotedGroup},
	{"set administrators of ", groupChanged, (*entry).setOf},
	{"set members of ", groupChanged, (*entry).setOf},
	{"unlock user ", userChanged, (*entry).quotedUser},
	{"user ", nil, (*entry).memberBy},
})

// account reads the messages of the shadow tools.
func (e *entry) account(s string) { accountMessages.read(e, s) }

// quoted takes 'name' or `name' off the start of s.
func quoted(s string) (name, rest string) {
	if s == "" || s[0] != '\'' && s[0] != '`' {
		return "", s
	}
	name, rest, _ = strings.Cut(s[1:], "'")
	return name, rest
}

// unquote takes quotes off, where there are any.
func unquote(s string) string {
	if len(s) > 1 && (s[0] == '\'' || s[0] == '`') && s[len(s)-1] == '\'' {
		return s[1 : len(s)-1]
	}
	return s
}

func (e *entry) quotedUser(s string)      { e.target, _ = quoted(s) }
func (e *entry) quotedGroup(s string)     { e.group, _ = quoted(s) }
func (e *entry) quotedGroupFrom(s string) { e.group, _, _ = strings.Cut(s, "'") }
func (e *entry) targeted(s string)        { e.target = s }
func (e *entry) setOf(s string)           { e.group, _, _ = strings.Cut(s, " to ") }

// member reads "bob' to group 'sudo'", also of the shadow group and with from for to.
func (e *entry) member(s string) {
	e.target, s, _ = strings.Cut(s, "'")
	if _, group, ok := strings.Cut(s, "group "); ok {
		e.group, _ = quoted(group)
	}
}

// memberBy reads gpasswd's "bob added by root to group sudo" and "bob removed by root from group sudo".
func (e *entry) memberBy(s string) {
	user, rest := token(s)
	if by, ok := strings.CutPrefix(rest, "added by "); ok {
		e.class, e.target = memberAdded, user
		e.user, e.group, _ = strings.Cut(by, " to group ")
	} else if by, ok := strings.CutPrefix(rest, "removed by "); ok {
		e.class, e.target = memberRemoved, user
		e.user, e.group, _ = strings.Cut(by, " from group ")
	}
}

// attributes reads "name=bob, UID=1001, GID=1001, home=/home/bob, shell=/bin/bash, from=/dev/pts/0".
func (e *entry) attributes(s string) {
	for part := range strings.SplitSeq(s, ", ") {
		key, value, _ := strings.Cut(part, "=")
		switch key {
		case "name":
			if e.class == groupAdded {
				e.group = value
			} else {
				e.target = value
			}
		case "UID":
			e.targetID = value
		case "GID":
			e.groupID = value
		case "from":
			e.terminal = unless(value, "none")
		}
	}
}

// addedTo reads "/etc/group: name=bob, GID=1001".
func (e *entry) addedTo(s string) {
	if _, list, ok := strings.Cut(s, ": "); ok {
		e.attributes(list)
	}
}

// changedIn reads "/etc/group (group bob/1001, new name: carol)".
func (e *entry) changedIn(s string) {
	_, s, ok := strings.Cut(s, "(group ")
	if !ok {
		return
	}
	s, _, _ = strings.Cut(strings.TrimSuffix(s, ")"), ", ")
	e.group, e.groupID, _ = strings.Cut(s, "/")
}

// changedBy reads "bob[, by root]".
func (e *entry) changedBy(s string) { e.target, e.user, _ = strings.Cut(s, ", by ") }

// passwordFor reads "'bob' changed by 'root'".
func (e *entry) passwordFor(s string) {
	e.target, s = quoted(s)
	if by, ok := strings.CutPrefix(s, " changed by "); ok {
		e.user = unquote(by)
	}
}
