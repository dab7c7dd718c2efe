
/*
 * Copyright (C) sync for nginx
 */


#ifndef _CRASH_TRACE_H_INCLUDED_
#define _CRASH_TRACE_H_INCLUDED_


/*
 * Children of crash_test.c that stop after each instruction that may have
 * changed the zone.
 *
 *     runs --(writes)--> SIGSEGV --> may write --> SIGTRAP --> stands here
 *       ^                            and traps                     |
 *       `----------------- may not write, traps no more <----------'
 *
 * A child cannot write to the zone.  When it tries it is let do so for the
 * length of one instruction, by the trap flag of the processor: so it stands
 * wherever it would if each instruction was looked at, and runs in between.
 * The parent sees both signals first.  Elsewhere each instruction is stepped.
 */

#ifndef CRASH_FLAG
#if (__linux__ && __x86_64__)
#define CRASH_FLAG  0x100               /* TF of EFLAGS */
#endif
#endif


static void trace_protect(void);


/*
 * Makes a child that stops, does op, and stops; returns when it stands in
 * front of op.
 */

static pid_t
trace(crash_op_pt prepare, crash_op_pt op)
{
    int    status;
    pid_t  pid;

    (void) fflush(stdout);

    pid = fork();

    if (pid == -1) {
        zone_bail("fork() failed");
    }

    if (pid == 0) {
        ngx_pid = getpid();

        if (prepare) {
            prepare();
        }

        trace_protect();

        if (ptrace(PTRACE_TRACEME, 0, 0, 0) == -1) {
            _exit(4);
        }

        (void) raise(SIGSTOP);
        op();
        (void) raise(SIGSTOP);
        _exit(0);
    }

    if (waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status)) {
        zone_bail("a child does not stop");
    }

    return pid;
}


#ifdef CRASH_FLAG

static void
trace_allow(ngx_uint_t write)
{
    if (mprotect(zone_shm->shm.addr, zone_shm->shm.size,
                 write ? PROT_READ|PROT_WRITE : PROT_READ)
        == -1)
    {
        _exit(5);
    }
}


static void
trace_handler(int signo, siginfo_t *info, void *data)
{
    greg_t  *flags;

    flags = &((ucontext_t *) data)->uc_mcontext.gregs[REG_EFL];

    trace_allow(signo == SIGSEGV);

    if (signo == SIGSEGV) {
        *flags |= CRASH_FLAG;

    } else {
        *flags &= ~CRASH_FLAG;
    }
}


static void
trace_protect(void)
{
    struct sigaction  sa;

    ngx_memzero(&sa, sizeof(struct sigaction));

    sa.sa_sigaction = trace_handler;
    sa.sa_flags = SA_SIGINFO;

    (void) sigaction(SIGSEGV, &sa, NULL);
    (void) sigaction(SIGTRAP, &sa, NULL);

    trace_allow(0);
}


/* One write to the zone; 0 if the child stands behind op. */

static int
step(pid_t pid)
{
    int        status;
    u_char    *addr;
    siginfo_t  info;

    addr = zone_shm->shm.addr;

    for ( ;; ) {

        if (ptrace(PTRACE_GETSIGINFO, pid, 0, &info) == -1
            || ptrace(PTRACE_CONT, pid, 0,
                      info.si_signo == SIGSTOP ? 0 : info.si_signo)
               == -1
            || waitpid(pid, &status, 0) != pid
            || !WIFSTOPPED(status))
        {
            zone_bail("a child cannot be stepped");
        }

        switch (WSTOPSIG(status)) {

        case SIGSTOP:
            return 0;

        case SIGTRAP:
            return 1;

        case SIGSEGV:

            if (ptrace(PTRACE_GETSIGINFO, pid, 0, &info) == 0
                && (u_char *) info.si_addr >= addr
                && (u_char *) info.si_addr < addr + zone_shm->shm.size)
            {
                break;
            }

            /* fall through */

        default:
            zone_bail("a child got a signal");
        }
    }
}

#else

static void
trace_protect(void)
{
}


/* One instruction; 0 if the child stands behind op. */

static int
step(pid_t pid)
{
    int  status;

    if (ptrace(PTRACE_SINGLESTEP, pid, 0, 0) == -1
        || waitpid(pid, &status, 0) != pid
        || !WIFSTOPPED(status))
    {
        zone_bail("a child cannot be stepped");
    }

    if (WSTOPSIG(status) == SIGSTOP) {
        return 0;
    }

    if (WSTOPSIG(status) != SIGTRAP) {
        zone_bail("a child got a signal");
    }

    return 1;
}

#endif


static void
finish(pid_t pid)
{
    int  status;

    (void) kill(pid, SIGKILL);
    (void) waitpid(pid, &status, 0);
}


#endif /* _CRASH_TRACE_H_INCLUDED_ */
