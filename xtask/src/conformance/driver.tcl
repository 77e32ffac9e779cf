# Runs one unit of Redis's own test suite against a server that the suite did not start, and goes on where the suite would stop.
#
#   tclsh driver.tcl TREE UNIT PORT REPORT_PORT DEDICATED
#
# TREE         an unpacked Redis source tree
# REPORT_PORT  where each outcome is told, a line each: KIND TAB NAME TAB DETAIL, backslash escapes
# DEDICATED    1: blocks that the suite runs on servers of its own only, but that need nothing of them, run too
#
# The suite's helper is loaded without its last part, the runner; what is replaced here is where it talks to the runner, where it
# waits for a reply without limit, and where an error outside of a test ends the unit. After a test that failed, connections,
# parameters and switches are put back, so that a failure costs one test. When even that does not help, the other side
# is asked for a new server.

lassign $::argv driver_tree driver_unit driver_port driver_report_port driver_dedicated
set driver_report [socket 127.0.0.1 $driver_report_port]
fconfigure $driver_report -translation lf -encoding utf-8 -buffering line

# How long one reply, one test, and a PING after a failure may take, in ms.
set driver_reply_ms 15000
set driver_test_ms 90000
set driver_ping_ms 2000

proc driver_tell {kind name {detail {}}} {
    set escapes {\\ \\\\ \t \\t \n \\n \r \\r}
    puts $::driver_report [join [list $kind [string map $escapes $name] [string map $escapes [string range $detail 0 2000]]] \t]
}

cd $driver_tree
set f [open tests/test_helper.tcl]
set driver_helper [read $f]
close $f
set driver_end [string first "\nif {\$::client} {" $driver_helper]
if {$driver_end < 0} {error "test_helper.tcl has no runner at its end"}
set ::argv [list --host 127.0.0.1 --port $driver_port --single $driver_unit --durable --baseport [expr {25000 + [pid] % 2000}]]
eval [string range $driver_helper 0 $driver_end]

# ---- telling

set ::test_server_fd driver
set ::driver_done {}
proc send_data_packet {fd status data {elapsed 0}} {
    switch -- $status {
        err {
            set at [string first " in tests/" $data]
            set message [string range $data $at end]
            set lines [split $message \n]
            # The suite cuts ten characters off a message that is no assertion; the next line has it whole.
            set first [lindex $lines 1]
            if {[llength $lines] > 2 && [string first $first [lindex $lines 2]] > 0} {set first [lindex $lines 2]}
            driver_tell err [string range $data 0 $at-1] $first
        }
        testing - ok - skip - ignore {driver_tell $status $data}
    }
}

# ---- replies within a time

# Test ends at this clock time in ms; 0 outside of tests.
set ::driver_deadline 0

proc driver_fd_lost {fd why} {
    foreach id [array names ::redis::fd] {
        if {$::redis::fd($id) eq $fd} {set ::redis::fd($id) {}}
    }
    catch {close $fd}
    error $why
}
proc driver_in_time {} {
    if {$::driver_deadline && [clock milliseconds] > $::driver_deadline} {
        error "the test took longer than $::driver_test_ms ms"
    }
}
# Waits until fd can be read.
proc driver_wait {fd} {
    set ::driver_ready($fd) {}
    set timer [after $::driver_reply_ms [list set ::driver_ready($fd) late]]
    fileevent $fd readable [list set ::driver_ready($fd) yes]
    vwait ::driver_ready($fd)
    after cancel $timer
    set how $::driver_ready($fd)
    unset ::driver_ready($fd)
    catch {fileevent $fd readable {}}
    if {$how eq "late"} {driver_fd_lost $fd "no reply within $::driver_reply_ms ms"}
}
# Runs a reading step, which says whether it has enough, until it does; the channel does not block meanwhile.
proc driver_reading {fd step} {
    if {![fconfigure $fd -blocking]} {uplevel 1 $step; return}
    fconfigure $fd -blocking 0
    try {
        while {![uplevel 1 $step] && ![eof $fd]} {
            driver_in_time
            driver_wait $fd
        }
    } finally {
        catch {fconfigure $fd -blocking 1}
    }
}
proc ::redis::redis_safe_read {fd len} {
    set bytes {}
    if {$len >= 0 && [chan pending input $fd] >= $len} {return [read $fd $len]}
    driver_reading $fd {
        if {$len < 0} {append bytes [read $fd]} else {append bytes [read $fd [expr {$len - [string length $bytes]}]]}
        expr {$len >= 0 && [string length $bytes] >= $len}
    }
    return $bytes
}
proc ::redis::redis_safe_gets {fd} {
    set line {}
    driver_reading $fd {expr {[gets $fd line] >= 0}}
    return $line
}

# ---- what a test changes, to be put back when it fails

set ::driver_parameters {}
set ::driver_changed {}
set ::driver_used {}

rename ::redis::__dispatch__raw__ ::redis::driver_dispatch
proc ::redis::__dispatch__raw__ {id method argv} {
    driver_in_time
    set word [string tolower [lindex $argv 0]]
    switch -nocase -- $method {
        config {if {$word eq "set"} {lappend ::driver_changed {*}[lrange $argv 1 end]}}
        debug - client {lappend ::driver_used "[string tolower $method] $word"}
        replicaof - slaveof {lappend ::driver_used replicaof}
    }
    uplevel 1 [list ::redis::driver_dispatch $id $method $argv]
}
proc driver_keep_changes {} {
    foreach {name value} $::driver_changed {dict set ::driver_parameters [string tolower $name] $value}
    set ::driver_changed {}
}
proc driver_undo_changes {client} {
    foreach {name value} $::driver_changed {
        set name [string tolower $name]
        if {[dict exists $::driver_parameters $name]} {catch {$client config set $name [dict get $::driver_parameters $name]}}
    }
    foreach {used command} {
        {debug set-active-expire} {debug set-active-expire 1}
        {debug dict-resizing} {debug dict-resizing 1}
        {debug quicklist-packed-threshold} {debug quicklist-packed-threshold 0}
        {debug set-disable-deny-scripts} {debug set-disable-deny-scripts 0}
        {debug pause-cron} {debug pause-cron 0}
        {debug replybuffer} {debug replybuffer resizing 1}
        {client pause} {client unpause}
        replicaof {replicaof no one}
    } {
        if {$used in $::driver_used} {catch {$client {*}$command}}
    }
    set ::driver_changed {}
    set ::driver_used {}
}

# ---- after a failure

proc driver_drain {fd} {
    catch {
        fconfigure $fd -blocking 0
        while {[string length [read $fd]] && ![eof $fd]} {after 10}
        fconfigure $fd -blocking 1
    }
}
# True when the client answers as one that is in nothing.
proc driver_answers {client} {
    if {[catch {$client ping} pong]} {return 0}
    if {$pong eq "QUEUED"} {
        catch {$client discard}
        catch {$client ping} pong
    }
    expr {$pong eq "PONG"}
}
# A new client that answers; of a new server if need be.
proc driver_new_client {} {
    foreach attempt {1 2 3} {
        set answers [expr {![catch {set client [redis $::host $::port 0 $::tls]}] && [driver_answers $client]}]
        if {!$answers && [info exists client]} {
            catch {$client script kill}
            catch {$client function kill}
            set answers [driver_answers $client]
        }
        if {$answers} {
            catch {$client select 9}
            return $client
        }
        driver_tell restart $::cur_test
        if {[gets $::driver_report] ne "restarted"} {exit 3}
    }
    driver_tell gone $::cur_test
    exit 3
}
proc driver_recover {first_new_id} {
    set ::driver_deadline 0
    if {![llength $::servers]} return
    set patience $::driver_reply_ms
    set ::driver_reply_ms $::driver_ping_ms
    set client [srv 0 client]
    regexp {\d+$} $client main
    foreach id [array names ::redis::fd] {
        if {$id == $main || $::redis::fd($id) eq {}} continue
        if {$id >= $first_new_id} {
            catch {close $::redis::fd($id)}
            set ::redis::fd($id) {}
        } else {
            driver_drain $::redis::fd($id)
        }
    }
    if {[info exists ::redis::fd($main)]} {
        array set ::redis::blocking [list $main 1]
        array set ::redis::deferred [list $main 0]
        array set ::redis::readraw [list $main 0]
        if {$::redis::fd($main) ne {}} {driver_drain $::redis::fd($main)}
    }
    # Whoever is let in is to be let in as anybody would be: a new connection has to answer, too.
    set new [driver_new_client]
    if {[info exists ::redis::fd($main)] && $::redis::fd($main) ne {} && [driver_answers $client]} {
        $new close
    } else {
        catch {$client close}
        set client $new
        set server [lindex $::servers end]
        dict set server client $client
        lset ::servers end $server
    }
    catch {$client select 9}
    driver_undo_changes $client
    set ::driver_reply_ms $patience
}

# ---- a unit, command by command

proc driver_holds_tests {code} {regexp {(^|[\n;\{])\s*(test|tags|start_server|run_solo|test_\w+)\s} $code}
# The command, with a last word that is a body of tests made to run command by command.
proc driver_resilient {command} {
    set command [string trimright $command]
    if {![regexp {^\s*(foreach|for|if|while|proc)\s} $command]} {return $command}
    if {[catch {lindex $command end} body] || ![driver_holds_tests $body]} {return $command}
    set head [string range $command 0 end-[expr {[string length $body] + 2}]]
    if {"$head{$body}" ne $command} {return $command}
    return "$head[list [list driver_block $body]]"
}
proc driver_block {code} {
    set command {}
    foreach line [split $code \n] {
        if {$command eq {} && [regexp {^\s*(#.*[^\\])?$} $line]} continue
        set first [expr {$command eq {}}]
        append command $line \n
        # Only these can end a command of several lines.
        if {!$first && [string match {*\\} $line] || !$first && ![regexp {[\]\}"]} $line] && ![regexp {\\\n[^\n]*\n$} $command]} continue
        if {![info complete $command]} continue
        set whole [driver_resilient $command]
        set command {}
        set next_id [expr {$::redis::id + 1}]
        set ::driver_deadline [expr {[driver_holds_tests $whole] ? 0 : [clock milliseconds] + $::driver_test_ms}]
        set outcome [catch {uplevel 1 $whole} result options]
        switch -- $outcome {
            0 {driver_keep_changes}
            1 {
                driver_tell setup "[string range [string trim $whole] 0 200]" $result
                driver_recover $next_id
            }
            default {
                dict incr options -level
                return -options $options $result
            }
        }
    }
    if {$command ne {}} {driver_tell setup "[string range $command 0 200]" "no whole command"}
}

rename test driver_test
proc test {name args} {
    set next_id [expr {$::redis::id + 1}]
    set failed $::num_failed
    driver_keep_changes
    set ::driver_used {}
    set ::driver_deadline [expr {[clock milliseconds] + $::driver_test_ms}]
    if {[catch {uplevel 1 [list driver_test $name {*}$args]} error]} {
        incr ::num_failed
        driver_tell err $name $error
    }
    set ::driver_deadline 0
    set ::cur_test {}
    if {$::num_failed != $failed} {driver_recover $next_id} else {driver_keep_changes}
}
proc run_solo {name code} {uplevel 1 [list driver_block $code]}
proc tags {tags code} {
    set depth [llength $::tags]
    lappend ::tags {*}[string map {\" {}} $tags]
    if {[tags_acceptable $::tags why]} {
        uplevel 1 [list driver_block $code]
    } else {
        driver_tell ignore {} $why
    }
    set ::tags [lrange $::tags 0 $depth-1]
}

# ---- blocks

set ::driver_as_own 0
rename tags_acceptable driver_tags_acceptable
proc tags_acceptable {tags why_name} {
    upvar 1 $why_name why
    if {$::driver_as_own} {set tags [lsearch -all -inline -not -exact $tags external:skip]}
    driver_tags_acceptable $tags why
}
# True when a block needs nothing of a server of its own but to have it alone.
proc driver_could_be_own {options code} {
    if {!$::driver_dedicated} {return 0}
    foreach {name value} $options {
        if {$name in {config config_lines args omit}} {return 0}
        if {$name eq "overrides"} {
            foreach parameter [dict keys $value] {
                if {$parameter in {dir aclfile user requirepass appendonly enable-debug-command enable-protected-configs}} {return 0}
            }
        }
    }
    expr {$::driver_unit eq "unit/info" || ![regexp {start_server|restart_server|get_child_pid|srv [-0-9]+ (pid|stdout|config_file)} $code]}
}
rename start_server driver_start_server
proc start_server {options {code undefined}} {
    set outer $::driver_as_own
    set ::driver_as_own [driver_could_be_own $options $code]
    set code [catch {uplevel 1 [list driver_start_server $options $code]} result how]
    set ::driver_as_own $outer
    return -options $how $result
}
proc run_external_server_test {code overrides} {
    lappend ::servers [dict create host $::host port $::port config [dict create port $::port] client [driver_new_client]]
    catch {r flushall}
    catch {r function flush}
    set ::driver_parameters {}
    catch {set ::driver_parameters [r config get *]}
    # Hidden ones are not listed.
    foreach name {key-load-delay rdb-key-save-delay} {catch {lappend ::driver_parameters {*}[r config get $name]}}
    set before $::driver_parameters
    dict for {name value} $overrides {
        if {[catch {r config set $name $value} error]} {driver_tell setup "override $name $value" $error}
        if {$name eq "appendonly" && $value eq "yes"} {catch {waitForBgrewriteaof r}}
    }
    driver_keep_changes
    uplevel 2 [list driver_block $code]
    foreach name [dict keys $overrides] {
        if {[dict exists $before $name]} {catch {r config set $name [dict get $before $name]}}
    }
    set server [lindex $::servers end]
    set ::servers [lrange $::servers 0 end-1]
    catch {[dict get $server client] close}
}

set ::curfile tests/$driver_unit.tcl
set f [open $::curfile]
set driver_code [read $f]
close $f
driver_block $driver_code
driver_tell done $driver_unit
