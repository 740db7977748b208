import Glibc

exit(Syncctl.run(Array(CommandLine.arguments.dropFirst())))
