/* echo CONFIG PORT: says everything back to any number of connections, with poll. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tapstack.h>
#include <unistd.h>

enum { CONNECTIONS = 512 };

static struct pollfd fds[1 + CONNECTIONS];
static nfds_t count = 1;

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static int listener(const char *port) {
    int fd = tapstack_socket(AF_INET6, SOCK_STREAM, 0);
    if (fd < 0) fail("socket");
    struct sockaddr_in6 any = {.sin6_family = AF_INET6, .sin6_port = htons(atoi(port))};
    if (tapstack_bind(fd, (struct sockaddr *)&any, sizeof any) < 0) fail("bind");
    if (tapstack_listen(fd, 128) < 0) fail("listen");
    return fd;
}

static void forget(nfds_t which) {
    tapstack_close(fds[which].fd);
    fds[which] = fds[--count];
}

static void serve(nfds_t which) {
    char text[16384];
    ssize_t length = tapstack_read(fds[which].fd, text, sizeof text);
    if (length <= 0) {
        forget(which);
        return;
    }
    for (ssize_t done = 0; done < length;) {
        ssize_t written = tapstack_write(fds[which].fd, text + done, length - done);
        if (written < 0) {
            forget(which);
            return;
        }
        done += written;
    }
}

int main(int argc, char **argv) {
    if (argc != 3) {
        fprintf(stderr, "usage: echo CONFIG PORT, as in: echo \"tap=tap0 addr=192.0.2.2/24\" 7\n");
        return 2;
    }
    if (tapstack_init(argv[1]) < 0) return 1;
    fds[0] = (struct pollfd){.fd = listener(argv[2]), .events = POLLIN};
    puts("ready");
    fflush(stdout);
    while (tapstack_poll(fds, count, -1) > 0 || errno == EINTR) {
        for (nfds_t i = count; i-- > 1;)
            if (fds[i].revents) serve(i);
        if (fds[0].revents && count <= CONNECTIONS) {
            int fd = tapstack_accept(fds[0].fd, NULL, NULL);
            if (fd >= 0) fds[count++] = (struct pollfd){.fd = fd, .events = POLLIN};
        }
    }
    fail("poll");
}
