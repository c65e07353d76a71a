import django
from django.conf import settings
from django.http import HttpResponse, StreamingHttpResponse
from django.urls import path

settings.configure(ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__, SECRET_KEY="only a test")
django.setup()


def hello(request, name):
    return HttpResponse(f"Hello, {name}! {request.get_full_path()}")


def form(request):
    return HttpResponse(f"{request.POST['text']} {len(request.FILES['file'].read())}")


def stream(request):
    return StreamingHttpResponse(f"{number} " for number in range(3))


urlpatterns = [path("hello/<name>", hello), path("form", form), path("stream", stream)]

from django.core.wsgi import get_wsgi_application

application = get_wsgi_application()
