// Text form of the loop IR, and of functions written in it (math.kern).
grammar Loop;

kernels : kernel* EOF ;

functions : function* EOF ;

kernel : KERNEL name '(' (parameter (',' parameter)*)? (';' name (',' name)*)? ')' body ;

// A tensor; "mut" where it is written.
parameter : name ':' 'mut'? name ;

function : FUNC name '(' argument (',' argument)* ')' '->' name '{' statement* RETURN expr ';' '}' ;

argument : name ':' name ;

body : block | DO statement END ;

block : '{' statement* '}' ;

statement
  : block # nested
  | FOR kind=(PARALLEL | LANES)? name 'in' expr '..' expr ('step' INT)? body # forLoop
  | WHILE expr body # whileLoop
  | LET name '=' expr ';' # let
  | LOCAL name '=' expr ';' # local
  | name '=' expr ';' # assign
  | name '[' expr (IF expr)? ']' '=' expr ';' # store
  | IF expr body (ELSE body)? # branch
  | ALLOC space name ':' name '[' expr ']' ';' # alloc
  | PREFETCH name '[' expr ']' ';' # prefetch
  | BARRIER ';' # barrier
  | TILE name '[' INT ',' INT ']' ';' # tileZero
  | TILE name '[' INT ',' INT ']' '=' strided ';' # tileLoad
  | TILE name '+=' name name '*' name name ';' # tileDot
  | TILE strided '=' name ';' # tileStore
  ;

// Rows of a buffer: where the first begins, and the distance from one to the next.
strided : name '[' expr 'by' expr ']' ;

expr
  : '(' expr ')' # group
  | literal # constant
  | name '!'? '(' (argumentOf (',' argumentOf)*)? ')' # call
  | name '[' expr ('as' name)? (IF expr)? ']' # load
  | name # variable
  | '-' expr # negate
  | expr op=('*' | '/' | '%') expr # binary
  | expr op=('+' | '-') expr # binary
  | expr op=('<<' | '>>') expr # binary
  | expr op=('==' | '!=' | '<' | '<=' | '>' | '>=') expr # compare
  | expr op='&' expr # binary
  | expr op='^' expr # binary
  | expr op='|' expr # binary
  ;

argumentOf : expr | '[' integer (',' integer)* ']' ;

integer : '-'? INT ;

literal : '-'? (INT | FLOAT | HEX | HEXFLOAT) | TRUE | FALSE ;

space : name | LOCAL ;

// Words of the grammar that can also be names.
name : IDENT | QUOTED | 'mut' | 'in' | 'step' | 'as' | 'by' ;

KERNEL : 'kernel' ;
FUNC : 'func' ;
RETURN : 'return' ;
DO : 'do' ;
END : 'end' ;
FOR : 'for' ;
PARALLEL : 'parallel' ;
LANES : 'lanes' ;
WHILE : 'while' ;
LET : 'let' ;
LOCAL : 'local' ;
IF : 'if' ;
ELSE : 'else' ;
ALLOC : 'alloc' ;
PREFETCH : 'prefetch' ;
BARRIER : 'barrier' ;
TILE : 'tile' ;
TRUE : 'true' ;
FALSE : 'false' ;

HEXFLOAT : '0x' [0-9a-fA-F]+ ('.' [0-9a-fA-F]+)? 'p' [+-]? DIGIT+ SUFFIX? ;
HEX : '0x' [0-9a-fA-F]+ SUFFIX? ;
FLOAT : DIGIT+ ('.' DIGIT+ EXPONENT? | EXPONENT) SUFFIX? ;
INT : DIGIT+ SUFFIX? ;
IDENT : [a-zA-Z_] [a-zA-Z_0-9]* ;
QUOTED : '`' ~[`\r\n]* '`' ;

fragment DIGIT : [0-9] ;
fragment EXPONENT : [eE] [+-]? DIGIT+ ;
fragment SUFFIX : '_' [a-z] [a-z0-9]* ;

COMMENT : '#' ~[\r\n]* -> skip ;
SPACE : [ \t\r\n]+ -> skip ;
