/* signals WHAT: handlers of signals that leave a call of the program's, or make one. */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

static sigjmp_buf before;
static int own, got_type;

static void leave(int number) {
    (void)number;
    siglongjmp(before, 1);
}

/* Makes a socket once the program's own answer is there. */
static void ask(int number) {
    (void)number;
    socklen_t length = sizeof got_type;
    usleep(1000000);
    own = socket(AF_INET, SOCK_DGRAM, 0);
    if (getsockopt(own, SOL_SOCKET, SO_TYPE, &got_type, &length) < 0)
        got_type = -errno;
}

static void on_alarm(void (*handler)(int), long micros) {
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART};
    struct itimerval time = {.it_value.tv_usec = micros};
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &time, NULL);
}

static void look_up(const char *name) {
    struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM}, *found;
    char text[INET_ADDRSTRLEN];
    int code = getaddrinfo(name, NULL, &hints, &found);
    if (code != 0) {
        printf("%s: %s\n", name, gai_strerror(code));
        return;
    }
    struct sockaddr_in *address = (struct sockaddr_in *)found->ai_addr;
    printf("%s: %s\n", name, inet_ntop(AF_INET, &address->sin_addr, text, sizeof text));
    freeaddrinfo(found);
}

static void leave_a_look_up(const char *name) {
    if (sigsetjmp(before, 1) == 0) {
        on_alarm(leave, 100000);
        look_up(name);
        puts("it was not left");
    }
}

static int descriptors(void) {
    int count = 0;
    DIR *all = opendir("/proc/self/fd");
    while (readdir(all))
        count++;
    closedir(all);
    return count;
}

/* Sockets as ever: made, bound, and asked. */
static void use_sockets(void) {
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t length = sizeof address;
    int type = 0, fd = socket(AF_INET, SOCK_DGRAM, 0);
    int bound = bind(fd, (struct sockaddr *)&address, length);
    int named = getsockname(fd, (struct sockaddr *)&address, &length);
    length = sizeof type;
    getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length);
    printf("%d %d %d %d\n", bound, named, address.sin_port != 0, type == SOCK_DGRAM);
    close(fd);
}

int main(int argc, char **argv) {
    if (argc == 2 && strcmp(argv[1], "left") == 0) {
        leave_a_look_up("slow.test");
        usleep(1000000);
        /* The answer that nobody waits for is there. */
        look_up("fast.test");
        leave_a_look_up("slow.test");
        look_up("fast.test");
        usleep(1000000);
        use_sockets();
        int before_many = descriptors();
        for (int turn = 0; turn < 20; turn++)
            leave_a_look_up("slow.test");
        printf("few stay open: %d\n", descriptors() < before_many + 10);
        look_up("fast.test");
        use_sockets();
    } else if (argc == 2 && strcmp(argv[1], "asked") == 0) {
        on_alarm(ask, 100000);
        look_up("slow.test");
        printf("a handler: %d %d\n", own >= 0, got_type == SOCK_DGRAM);
        use_sockets();
        look_up("fast.test");
    } else {
        return 2;
    }
    return 0;
}
