# A client that knows nothing of us: the service document, a story, a photo, changes by tag, and deletion.
use strict;
use warnings;
use Atompub::Client;
use XML::Atom::Entry;

my ($base, $picture) = @ARGV;
my $client = Atompub::Client->new;
$client->username('anna');
$client->password('correct horse');

sub must { my ($value, $step) = @_; die "$step: " . $client->errstr . "\n" unless defined $value && $value ne ''; return $value }

my $service = must($client->getService("$base/atom/service"), 'service');
my @collections = ($service->workspaces)[0]->collections;
die "accept\n" unless grep { $_ eq 'application/atom+xml;type=entry' } $collections[0]->accepts;

my $entry = XML::Atom::Entry->new;
$entry->title('Written in Perl');
$entry->content('A story by another program.');
my $place = must($client->createEntry($collections[0]->href, $entry, 'perl'), 'create an entry');
my $read = must($client->getEntry($place), 'read it');
die "title\n" unless $read->title eq 'Written in Perl';
$read->title('Changed in Perl');
must($client->updateEntry($place, $read), 'change it');
die "change\n" unless must($client->getEntry($place), 'read it again')->title eq 'Changed in Perl';

my $feed = must($client->getFeed($collections[0]->href), 'read the collection');
die "feed\n" unless grep { $_->title eq 'Changed in Perl' } $feed->entries;

my $photo = must($client->createMedia($collections[1]->href, $picture, 'image/jpeg', 'From Perl'), 'create a photo');
my $link = must($client->getEntry($photo), 'read its entry');
die "slug\n" unless $link->title eq 'From Perl';
my ($media) = map { $_->href } grep { $_->rel eq 'edit-media' } $link->link;
must($client->getMedia($media), 'read the photo');
must($client->updateMedia($media, $picture, 'image/jpeg'), 'replace the photo by its tag');
must($client->deleteMedia($media), 'delete the photo');
die "the entry is left\n" if $client->getEntry($photo);
must($client->deleteEntry($place), 'delete the entry');
die "deleted\n" if $client->getEntry($place);
print "ok\n";
