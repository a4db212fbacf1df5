/* The same checks on libc's sockets and, with TAPSTACK defined, on those of libtapstack. Each prints
 * one line: its name, the value, and the name of the error. */
#ifndef PARITY_H
#define PARITY_H
#define _GNU_SOURCE

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/select.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#ifdef TAPSTACK
#include "tapstack.h"
#define socket tapstack_socket
#define bind tapstack_bind
#define listen tapstack_listen
#define accept tapstack_accept
#define accept4 tapstack_accept4
#define connect tapstack_connect
#define shutdown tapstack_shutdown
#define close tapstack_close
#define getsockname tapstack_getsockname
#define getpeername tapstack_getpeername
#define getsockopt tapstack_getsockopt
#define setsockopt tapstack_setsockopt
#define fcntl tapstack_fcntl
#define ioctl tapstack_ioctl
#define read tapstack_read
#define readv tapstack_readv
#define recv tapstack_recv
#define recvfrom tapstack_recvfrom
#define recvmsg tapstack_recvmsg
#define recvmmsg tapstack_recvmmsg
#define write tapstack_write
#define writev tapstack_writev
#define send tapstack_send
#define sendto tapstack_sendto
#define sendmsg tapstack_sendmsg
#define sendmmsg tapstack_sendmmsg
#define sendfile tapstack_sendfile
#define poll tapstack_poll
#define select tapstack_select
#define epoll_create1 tapstack_epoll_create1
#define epoll_ctl tapstack_epoll_ctl
#define epoll_wait tapstack_epoll_wait
#define dup tapstack_dup
#define dup2 tapstack_dup2
#define getaddrinfo tapstack_getaddrinfo
#define freeaddrinfo tapstack_freeaddrinfo
#define getnameinfo tapstack_getnameinfo
#define if_nametoindex tapstack_if_nametoindex
#define if_indextoname tapstack_if_indextoname
#define if_nameindex() tapstack_if_nameindex()
#define if_freenameindex tapstack_if_freenameindex
#endif

/* The call's value, and its error if it is below 0. */
#define CHECK(name, call)                                                                          \
    do {                                                                                           \
        errno = 0;                                                                                 \
        long value_ = (long)(call);                                                                \
        say(name, value_, errno);                                                                  \
    } while (0)

/* The same of a call that makes a descriptor, whose number says nothing. */
#define CHECK_MADE(name, call)                                                                     \
    do {                                                                                           \
        errno = 0;                                                                                 \
        int made_ = (call);                                                                        \
        say(name, made_ < 0 ? made_ : 0, errno);                                                   \
        if (made_ >= 0)                                                                            \
            close(made_);                                                                          \
    } while (0)

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    struct sockaddr_storage room;
};

void say(const char *name, long value, int error);
/* What must be so, or the program ends. */
int must(const char *what, int value);
/* An address, by its text, and its length. */
socklen_t at(union address *address, const char *text, int port);
/* Waits until one of the events is there, a second at most; which are. */
int await(int fd, short events);
/* A socket bound to a free port of `text`, and its address. */
int bound(int kind, const char *text, union address *address);
/* A socket that listens. */
int listening(const char *text, union address *address);
/* A connection over IPv4: the end that connected, and the accepted one. */
void connection(int *near, int *far);
/* Raised SIGPIPEs, since this was last asked. */
int sigpipes(void);

void making(void);
void naming(void);
void connecting(void);
void streams(void);
void endings(void);
void options(void);
void datagrams(void);
void messages(void);
void waiting(void);
void edges(void);
void names(void);
void groups(void);

#endif
