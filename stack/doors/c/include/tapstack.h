/* tapstack.h: sockets on Tapstack, a TCP/IP stack of this process's own.
 *
 * Each function is the one of the C library without its prefix: the same arguments, constants,
 * structures and errno. Descriptors are real ones of the kernel's: they may be polled, duplicated,
 * inherited and closed together with all others. A descriptor that is not Tapstack's goes to the
 * kernel.
 *
 *     cc program.c $(pkg-config --cflags --libs tapstack)
 */
#ifndef TAPSTACK_H
#define TAPSTACK_H

#include <net/if.h>
#include <netdb.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Those that the headers above keep to themselves without a feature macro. */
struct addrinfo;
struct mmsghdr;
struct timespec;

/* Starts the stack: the options of its demos, separated by spaces and without dashes, such as
 * "tap=tap0 addr=192.0.2.2/24 gateway=192.0.2.1". 0, or -1 with EINVAL and the reason on standard
 * error, also while one runs: a process has one stack, and its children share it. What comes before
 * finds no network (ENETDOWN), and so does what comes after tapstack_fini, until the next
 * tapstack_init. */
int tapstack_init(const char *config);

/* Closes all connections in good order and ends the stack; exit() does so too. In a child it does
 * nothing, and while another thread starts the stack neither.
 *
 * The stack's threads take no signals, and have a table of descriptors of their own (Linux 5.9 or
 * newer): what a child inherits, or a program closes, is none of theirs. */
void tapstack_fini(void);

int tapstack_socket(int domain, int type, int protocol);
int tapstack_bind(int fd, const struct sockaddr *address, socklen_t length);
int tapstack_listen(int fd, int backlog);
int tapstack_accept(int fd, struct sockaddr *address, socklen_t *length);
int tapstack_accept4(int fd, struct sockaddr *address, socklen_t *length, int flags);
int tapstack_connect(int fd, const struct sockaddr *address, socklen_t length);
int tapstack_shutdown(int fd, int how);
int tapstack_close(int fd);

int tapstack_getsockname(int fd, struct sockaddr *address, socklen_t *length);
int tapstack_getpeername(int fd, struct sockaddr *address, socklen_t *length);
int tapstack_getsockopt(int fd, int level, int name, void *value, socklen_t *length);
int tapstack_setsockopt(int fd, int level, int name, const void *value, socklen_t length);
int tapstack_fcntl(int fd, int command, ...);
int tapstack_ioctl(int fd, unsigned long request, ...);

ssize_t tapstack_read(int fd, void *buffer, size_t length);
ssize_t tapstack_readv(int fd, const struct iovec *parts, int count);
ssize_t tapstack_recv(int fd, void *buffer, size_t length, int flags);
ssize_t tapstack_recvfrom(int fd, void *buffer, size_t length, int flags,
                          struct sockaddr *address, socklen_t *address_length);
ssize_t tapstack_recvmsg(int fd, struct msghdr *message, int flags);
int tapstack_recvmmsg(int fd, struct mmsghdr *messages, unsigned int count, int flags,
                      struct timespec *timeout);
ssize_t tapstack_write(int fd, const void *buffer, size_t length);
ssize_t tapstack_writev(int fd, const struct iovec *parts, int count);
ssize_t tapstack_send(int fd, const void *buffer, size_t length, int flags);
ssize_t tapstack_sendto(int fd, const void *buffer, size_t length, int flags,
                        const struct sockaddr *address, socklen_t address_length);
ssize_t tapstack_sendmsg(int fd, const struct msghdr *message, int flags);
int tapstack_sendmmsg(int fd, struct mmsghdr *messages, unsigned int count, int flags);
ssize_t tapstack_sendfile(int fd, int file, off_t *offset, size_t count);

int tapstack_poll(struct pollfd *fds, nfds_t count, int timeout);
int tapstack_ppoll(struct pollfd *fds, nfds_t count, const struct timespec *timeout,
                   const sigset_t *mask);
int tapstack_select(int count, fd_set *readable, fd_set *writable, fd_set *exceptional,
                    struct timeval *timeout);
int tapstack_pselect(int count, fd_set *readable, fd_set *writable, fd_set *exceptional,
                     const struct timespec *timeout, const sigset_t *mask);
int tapstack_epoll_create1(int flags);
int tapstack_epoll_ctl(int epoll, int operation, int fd, struct epoll_event *event);
int tapstack_epoll_wait(int epoll, struct epoll_event *events, int room, int timeout);
int tapstack_epoll_pwait(int epoll, struct epoll_event *events, int room, int timeout,
                         const sigset_t *mask);

int tapstack_dup(int fd);
int tapstack_dup2(int fd, int other);
int tapstack_dup3(int fd, int other, int flags);

int tapstack_getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                         struct addrinfo **result);
void tapstack_freeaddrinfo(struct addrinfo *list);
int tapstack_getnameinfo(const struct sockaddr *address, socklen_t length, char *host,
                         socklen_t host_room, char *service, socklen_t service_room, int flags);
struct hostent *tapstack_gethostbyname(const char *name);

/* The stack's interfaces, whose numbers are not the kernel's. */
unsigned int tapstack_if_nametoindex(const char *name);
char *tapstack_if_indextoname(unsigned int index, char *name);
struct if_nameindex *tapstack_if_nameindex(void);
void tapstack_if_freenameindex(struct if_nameindex *list);

#ifdef __cplusplus
}
#endif

#endif
