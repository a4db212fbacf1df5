/* fork CONFIG: a child that lives on keeps neither a connection nor the TAP from ending. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <tapstack.h>
#include <unistd.h>

static void tell(const char *what, int answer) {
    printf("%s: %s\n", what, answer < 0 ? strerror(errno) : "ok");
    fflush(stdout);
}

static struct sockaddr_in at(const char *text) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(7)};
    inet_pton(AF_INET, text, &address.sin_addr);
    return address;
}

/* A child that closes its copy of `client`, and lives until its parent has ended. */
static void leave_a_child(int client) {
    int ends[2];
    char byte;
    tell("pipe", pipe(ends));
    pid_t child = fork();
    if (child == 0) {
        close(client);
        close(ends[1]);
        _exit(read(ends[0], &byte, 1) < 0);
    }
    tell("fork", child);
    close(client);
}

int main(int argc, char **argv) {
    if (argc != 2)
        return 2;
    tell("init", tapstack_init(argv[1]));
    struct sockaddr_in any = at("0.0.0.0"), here = at("192.0.2.2");
    int listener = tapstack_socket(AF_INET, SOCK_STREAM, 0);
    tell("bind", tapstack_bind(listener, (struct sockaddr *)&any, sizeof any));
    tell("listen", tapstack_listen(listener, 5));
    /* Linux's end of the wire. */
    int client = socket(AF_INET, SOCK_STREAM, 0);
    tell("connect", connect(client, (struct sockaddr *)&here, sizeof here));
    int fd = tapstack_accept(listener, NULL, NULL);
    tell("accept", fd);
    struct linger at_once = {1, 0};
    tell("linger", setsockopt(client, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once));
    leave_a_child(client);
    char byte;
    tell("read", tapstack_read(fd, &byte, 1));
    tapstack_fini();
    tell("accept after", tapstack_accept(listener, NULL, NULL));
    tell("init again", tapstack_init(argv[1]));
    return 0;
}
