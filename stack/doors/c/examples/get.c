/* get CONFIG HOST PORT PATH: an HTTP/1.0 request, and what comes back. */
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <tapstack.h>
#include <unistd.h>

static int dial(const char *host, const char *port) {
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list, *it;
    int code = tapstack_getaddrinfo(host, port, &hints, &list);
    if (code != 0) {
        fprintf(stderr, "get: %s: %s\n", host, gai_strerror(code));
        return -1;
    }
    int fd = -1;
    for (it = list; it && fd < 0; it = it->ai_next) {
        fd = tapstack_socket(it->ai_family, it->ai_socktype, it->ai_protocol);
        if (fd >= 0 && tapstack_connect(fd, it->ai_addr, it->ai_addrlen) < 0) {
            int why = errno;
            tapstack_close(fd);
            errno = why;
            fd = -1;
        }
    }
    tapstack_freeaddrinfo(list);
    if (fd < 0) perror("get");
    return fd;
}

int main(int argc, char **argv) {
    if (argc != 5) {
        fprintf(stderr, "usage: get CONFIG HOST PORT PATH\n");
        return 2;
    }
    if (tapstack_init(argv[1]) < 0) return 1;
    int fd = dial(argv[2], argv[3]);
    if (fd < 0) return 1;
    char text[16384];
    int length = snprintf(text, sizeof text, "GET %s HTTP/1.0\r\nHost: %s\r\n\r\n", argv[4], argv[2]);
    if (tapstack_send(fd, text, length, 0) != length) return 1;
    ssize_t got;
    while ((got = tapstack_recv(fd, text, sizeof text, 0)) > 0) fwrite(text, 1, got, stdout);
    if (got < 0) perror("get");
    tapstack_close(fd);
    tapstack_fini();
    return got < 0;
}
